/** What the process ends with. */
export const EXIT = Object.freeze({
  ok: 0,
  /** What was asked about is not so: a check of the doctor failed, triggers are missing, a read takes no part, nobody listens. */
  no: 1,
  /** It could not be found out: the command line cannot be meant, or a server does not answer. */
  trouble: 2,
});
