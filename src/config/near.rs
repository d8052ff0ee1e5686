//! Which of several names was probably meant.
//!
//! By edit distance, within a third of the name's length: a suggestion that is far off is worse than none. Knows no
//! field and no synonym; whoever has synonyms asks those first.

/// The nearest of `names` to `text`, if one is near enough. The first wins among equals.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let room = (text.chars().count() / 3).clamp(1, 4);
    names
        .into_iter()
        .map(|name| (distance(&text, &name.to_ascii_lowercase()), name))
        .filter(|&(d, name)| d <= room && d < name.chars().count())
        .min_by_key(|&(d, _)| d)
        .map(|(_, name)| name)
}

/// Edit distance with insertions, deletions, replacements and swaps of neighbours, each at cost 1. Names of a
/// configuration are short; longer ones are cut to [`LONGEST`].
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(LONGEST).collect();
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut older: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &cb) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(ca != cb)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && ca == b[j - 1] && a[i - 1] == cb {
                best = best.min(older[j - 1] + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Characters of a name that are compared.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn counts_single_edits_and_swaps() {
        for (a, b, d) in [("", "", 0), ("a", "", 1), ("weight", "wieght", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["weight", "model", "models", "type"];
        assert_eq!(nearest("wieght", names), Some("weight"));
        assert_eq!(nearest("Model", names), Some("model"));
        assert_eq!(nearest("modles", names), Some("models"));
        assert_eq!(nearest("completely_else", names), None);
        assert_eq!(nearest("x", names), None);
    }
}
