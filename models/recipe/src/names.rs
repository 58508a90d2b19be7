//! Random numbers → plausible names of people.

use crate::rng::Rng;

/// Common given names in Latin script from many places; the vocabulary should spell them in few tokens.
const GIVEN: &[&str] = &[
    "Ada", "Adam", "Ahmed", "Aisha", "Alan", "Alice", "Ana", "Anna", "Anton", "Arjun", "Astrid", "Ben", "Björn",
    "Carla", "Carlos", "Chen", "Chloe", "Claire", "Clara", "Daniel", "David", "Diego", "Elena", "Emil", "Emma", "Erik",
    "Eva", "Fatima", "Felix", "Fiona", "Frank", "George", "Grace", "Greta", "Hana", "Hannah", "Hassan", "Helen",
    "Henry", "Hugo", "Ibrahim", "Ines", "Ingrid", "Ivan", "Jack", "Jakub", "James", "Jan", "Jane", "Jin", "John",
    "Jonas", "José", "Julia", "Karim", "Kate", "Kenji", "Lars", "Laura", "Layla", "Lena", "Leo", "Li", "Liam", "Lina",
    "Louis", "Lucas", "Lucía", "Maria", "Marie", "Mark", "Marta", "Martin", "Mary", "Max", "Mei", "Mia", "Michael",
    "Mohammed", "Nadia", "Nina", "Noah", "Nora", "Olga", "Oliver", "Omar", "Oscar", "Pablo", "Paul", "Pedro", "Peter",
    "Priya", "Rachel", "Raj", "Rosa", "Ruth", "Ryan", "Sam", "Sara", "Sofia", "Sophie", "Stefan", "Susan", "Thomas",
    "Tim", "Tom", "Vera", "Victor", "Viktor", "Wei", "William", "Yara", "Yuki", "Yusuf", "Zoe",
];

/// Common family names in Latin script.
const FAMILY: &[&str] = &[
    "Adams",
    "Ali",
    "Andersen",
    "Baker",
    "Bauer",
    "Becker",
    "Bernard",
    "Brown",
    "Carter",
    "Chen",
    "Costa",
    "Cruz",
    "Davis",
    "Diaz",
    "Dubois",
    "Evans",
    "Fernandez",
    "Fischer",
    "Fox",
    "Garcia",
    "Green",
    "Gupta",
    "Hall",
    "Hansen",
    "Harris",
    "Hoffmann",
    "Huang",
    "Ivanov",
    "Jansen",
    "Johnson",
    "Jones",
    "Kaya",
    "Khan",
    "Kim",
    "King",
    "Klein",
    "Kowalski",
    "Kumar",
    "Larsen",
    "Lee",
    "Lopez",
    "Martin",
    "Martinez",
    "Meyer",
    "Miller",
    "Moreau",
    "Müller",
    "Nguyen",
    "Nielsen",
    "Novak",
    "Okafor",
    "Park",
    "Patel",
    "Pereira",
    "Petrov",
    "Popescu",
    "Reed",
    "Rossi",
    "Sato",
    "Schmidt",
    "Schneider",
    "Silva",
    "Singh",
    "Smith",
    "Suzuki",
    "Tanaka",
    "Taylor",
    "Wagner",
    "Walker",
    "Wang",
    "Weber",
    "White",
    "Williams",
    "Wilson",
    "Wong",
    "Wright",
    "Yamamoto",
    "Yilmaz",
    "Young",
    "Zhang",
];

const ONSETS: &[&str] = &[
    "b", "br", "ch", "d", "dr", "f", "fr", "g", "gr", "h", "j", "k", "kr", "l", "m", "n", "p", "r", "s", "sh", "st",
    "t", "th", "tr", "v", "w", "y", "z", "",
];
const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "ai", "ei", "ia", "ou", "ea"];
const CODAS: &[&str] = &["", "", "n", "r", "s", "l", "m", "k", "ck", "nd", "th", "tt", "v"];

/// "Given Family"; sometimes one part is invented, sometimes there is only a given name.
pub fn name(rng: &mut Rng) -> String {
    let given = if rng.chance(0.75) { (*rng.pick(GIVEN)).to_owned() } else { invented(rng) };
    if rng.chance(0.15) {
        return given;
    }
    let family = if rng.chance(0.65) { (*rng.pick(FAMILY)).to_owned() } else { invented(rng) };
    format!("{given} {family}")
}

fn invented(rng: &mut Rng) -> String {
    let mut word = String::new();
    for _ in 0..1 + rng.below(3) {
        word.push_str(rng.pick::<&str>(ONSETS));
        word.push_str(rng.pick::<&str>(VOWELS));
    }
    word.push_str(rng.pick::<&str>(CODAS));
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_vary_and_are_never_empty() {
        let mut rng = Rng::new(1);
        let names: std::collections::BTreeSet<String> = (0..500).map(|_| name(&mut rng)).collect();
        assert!(names.len() > 400 && names.iter().all(|n| !n.trim().is_empty()));
    }
}
