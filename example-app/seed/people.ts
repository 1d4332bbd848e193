export const FIRST_NAMES =
  "Ada Amir Beatriz Bruno Chiara Chinwe Daan Dalia Elif Emil Fatima Felix Greta Haruki Ines Ivo Jana Joao Kaja Kofi Lena Liam Mei Mirko Nadia Noah Olga Oscar Petra Priya".split(
    " ",
  );

export const LAST_NAMES =
  "Abiola Bergman Castro Dvorak Eriksen Fontaine Garcia Horvat Ivanova Jansen Kowalski Lindqvist Moreau Nakamura Okafor Pereira Quist Rossi Schneider Tanaka Ueda Varga Weber Yilmaz Zielinski".split(
    " ",
  );

export const CITIES =
  "Aarhus Bergamo Bilbao Bremen Brno Cork Gdansk Ghent Graz Lyon Malmo Porto Tartu Turku Utrecht Varna".split(" ");
