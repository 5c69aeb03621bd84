//! People, words and places that do not exist. Small lists: enough for data that looks real, no claim to more.

use super::call::{Call, Function, row, text};
use crate::limits;
use crucible_core::{Rng, Value};

const FIRST: &[&str] = &[
    "Ada",
    "Alan",
    "Amina",
    "Anders",
    "Aiko",
    "Barbara",
    "Bjarne",
    "Carlos",
    "Chen",
    "Clara",
    "Dennis",
    "Diego",
    "Edsger",
    "Elena",
    "Emmy",
    "Erik",
    "Fatima",
    "Felix",
    "Frances",
    "Grace",
    "Guido",
    "Hana",
    "Hedy",
    "Ines",
    "Ivan",
    "Jean",
    "Joan",
    "John",
    "Karen",
    "Katherine",
    "Ken",
    "Kofi",
    "Lena",
    "Linus",
    "Lucia",
    "Margaret",
    "Maria",
    "Mei",
    "Mohamed",
    "Nadia",
    "Niklaus",
    "Olga",
    "Omar",
    "Paul",
    "Priya",
    "Radia",
    "Ravi",
    "Rosa",
    "Samuel",
    "Sofia",
    "Sophie",
    "Stefan",
    "Tim",
    "Tomas",
    "Vera",
    "Wei",
    "Yara",
    "Yusuf",
    "Zoe",
    "Zuri",
];

const LAST: &[&str] = &[
    "Adams", "Andersen", "Baker", "Becker", "Bianchi", "Brown", "Chen", "Clark", "Costa", "Davies", "Diaz",
    "Dubois", "Evans", "Fischer", "Garcia", "Green", "Hansen", "Hoffmann", "Hughes", "Ito", "Ivanova",
    "Jansen", "Johnson", "Kaya", "Khan", "Kim", "Kowalski", "Kumar", "Larsen", "Lee", "Lopez", "Martin",
    "Meyer", "Moreau", "Mueller", "Nagy", "Nakamura", "Nguyen", "Novak", "Okafor", "Olsen", "Papadaki",
    "Patel", "Perez", "Petrov", "Quinn", "Rossi", "Santos", "Sato", "Schmidt", "Silva", "Singh", "Smith",
    "Tanaka", "Taylor", "Virtanen", "Walker", "Weber", "Wilson", "Yilmaz",
];

const WORDS: &[&str] = &[
    "amber", "anchor", "apple", "arrow", "autumn", "basket", "beacon", "bridge", "bright", "brook", "candle",
    "canyon", "carbon", "cedar", "circle", "cloud", "copper", "coral", "cotton", "crystal", "dawn", "delta",
    "desert", "distant", "early", "echo", "ember", "engine", "falcon", "feather", "field", "flint", "forest",
    "garden", "gentle", "glacier", "golden", "granite", "harbour", "hazel", "hidden", "hollow", "island",
    "ivory", "jasmine", "kettle", "ladder", "lantern", "laurel", "linen", "marble", "meadow", "mellow",
    "mirror", "morning", "narrow", "needle", "northern", "ocean", "olive", "orchard", "paper", "pebble",
    "pepper", "pillow", "planet", "quartz", "quiet", "rapid", "ribbon", "river", "saffron", "sailor",
    "silver", "simple", "sparrow", "spring", "steady", "summer", "sunset", "thunder", "timber", "tunnel",
    "valley", "velvet", "violet", "walnut", "whisper", "willow", "window", "winter", "yellow",
];

const CITIES: &[&str] = &[
    "Accra",
    "Amsterdam",
    "Athens",
    "Bangkok",
    "Barcelona",
    "Berlin",
    "Bogota",
    "Boston",
    "Brisbane",
    "Brussels",
    "Budapest",
    "Cairo",
    "Cape Town",
    "Chicago",
    "Copenhagen",
    "Delhi",
    "Dublin",
    "Edinburgh",
    "Geneva",
    "Hanoi",
    "Helsinki",
    "Istanbul",
    "Jakarta",
    "Karachi",
    "Kyoto",
    "Lagos",
    "Lima",
    "Lisbon",
    "Ljubljana",
    "London",
    "Madrid",
    "Manila",
    "Mexico City",
    "Milan",
    "Montreal",
    "Mumbai",
    "Munich",
    "Nairobi",
    "Oslo",
    "Paris",
    "Porto",
    "Prague",
    "Quito",
    "Riga",
    "Rome",
    "Santiago",
    "Seoul",
    "Sofia",
    "Stockholm",
    "Sydney",
    "Tallinn",
    "Tbilisi",
    "Tokyo",
    "Toronto",
    "Tunis",
    "Vienna",
    "Vilnius",
    "Warsaw",
    "Wellington",
    "Zurich",
];

pub(super) const ROWS: &[Function] = &[
    row("first_name", &[], "A given name.", ["first_name()", "Samuel"], |call| text(pick(FIRST, call.rng()))),
    row("last_name", &[], "A family name.", ["last_name()", "Sato"], |call| text(pick(LAST, call.rng()))),
    row("full_name", &[], "Both.", ["full_name()", "Samuel Hansen"], |call| {
        let first = pick(FIRST, call.rng());
        text(format!("{first} {}", pick(LAST, call.rng())))
    }),
    row(
        "username",
        &[],
        "A name to log in with; rarely the same twice.",
        ["username()", "samuel.hansen47544"],
        |call| text(login(call.rng())),
    ),
    row(
        "email",
        &["domain?"],
        "An address; at example.com, which nobody owns (RFC 2606), unless a domain is given.",
        ["email()", "samuel.hansen47544@example.com"],
        |call| {
            let domain = call.text_or(0, "example.com")?;
            text(format!("{}@{domain}", login(call.rng())))
        },
    ),
    row("city", &[], "A city.", ["city()", "Stockholm"], |call| text(pick(CITIES, call.rng()))),
    row("word", &[], "A word.", ["word()", "silver"], |call| text(pick(WORDS, call.rng()))),
    row(
        "sentence",
        &["words?"],
        "So many words (8), as a sentence.",
        ["sentence(4)", "Silver early ivory arrow."],
        sentence,
    ),
];

fn pick(list: &'static [&'static str], rng: &mut Rng) -> &'static str {
    list[rng.between(0, list.len() as u64 - 1) as usize]
}

fn login(rng: &mut Rng) -> String {
    let first = pick(FIRST, rng);
    let last = pick(LAST, rng);
    format!("{first}.{last}{}", rng.between(1, 99_999)).to_ascii_lowercase()
}

fn sentence(call: &mut Call<'_>) -> Result<Value, String> {
    let count = if call.given(0) { call.size(0)? } else { 8 };
    // the longest word has 9 letters
    limits::size(count.saturating_mul(10))?;
    let mut made = String::new();
    for index in 0..count {
        let word = pick(WORDS, call.rng());
        match (index, word.split_at_checked(1)) {
            (0, Some((first, rest))) => {
                made.push_str(&first.to_ascii_uppercase());
                made.push_str(rest);
            }
            _ => {
                made.push(' ');
                made.push_str(word);
            }
        }
    }
    if count > 0 {
        made.push('.');
    }
    text(made)
}
