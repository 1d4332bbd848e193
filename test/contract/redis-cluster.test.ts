import { ClusterHarness } from "./cluster-harness";
import { describeStore } from "./store-contract";

describeStore("RedisStore on a cluster", new ClusterHarness());
