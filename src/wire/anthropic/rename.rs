//! Puts the model's name that the client asked for into the beginning of a stream.
//!
//! The one edit of a streamed answer. Whole answers are renamed by [`super::Reply::named`].

use crate::json::text;

/// The beginning of a stream with `asked` as the model's name, `at` being where `super::Heard::model_at` saw it. As it
/// is where the name is the same already, or lies behind these bytes.
pub fn renamed(beginning: Vec<u8>, at: Option<(u64, u64)>, asked: &str) -> Vec<u8> {
    let Some(range) =
        at.and_then(|(start, end)| Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?))
    else {
        return beginning;
    };
    let quoted = text::quote(asked);
    match beginning.get(range.clone()) {
        Some(now) if now != quoted.as_slice() => {
            let mut out = Vec::with_capacity(beginning.len() + quoted.len());
            out.extend_from_slice(&beginning[..range.start]);
            out.extend_from_slice(&quoted);
            out.extend_from_slice(&beginning[range.end..]);
            out
        }
        _ => beginning,
    }
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn only_the_name_changes() {
        let beginning = br#"data: {"model":"real-1"} tail"#;
        for (at, asked, expected) in [
            (Some((15, 23)), "asked", r#"data: {"model":"asked"} tail"#),
            (Some((15, 23)), "real-1", r#"data: {"model":"real-1"} tail"#),
            (Some((15, 23)), "a\"b", r#"data: {"model":"a\"b"} tail"#),
            (Some((15, 99)), "asked", r#"data: {"model":"real-1"} tail"#),
            (None, "asked", r#"data: {"model":"real-1"} tail"#),
        ] {
            let out = renamed(beginning.to_vec(), at, asked);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{at:?}");
        }
    }
}
