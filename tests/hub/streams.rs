//! Laws of answers.

use pointsman::wire::{Dialect, anthropic, chat};

use crate::answer::{Answer, all, same};
use crate::machines::{Recorded, each, replies, streams};
use crate::{chance::Chance, strict, twin};

const BOTH: [Dialect; 2] = [Dialect::Messages, Dialect::Chat];

/// A stream is split at each of its first bytes; behind them come random splits.
const EVERY_BYTE: usize = 600;

#[test]
fn a_recorded_stream_keeps_the_grammar_however_it_is_split() {
    each(&streams(), |recorded| {
        let mut chance = Chance::new(1);
        let (whole, bytes) = (recorded.decoded().said, &recorded.bytes);
        for at in (0..bytes.len().min(EVERY_BYTE)).chain((0..40).map(|_| chance.below(bytes.len()))) {
            let (front, back) = bytes.split_at(at);
            let name = format!("{} split at {at}", recorded.name);
            same(&name, &recorded.in_pieces([front, back]).said, &whole)?;
        }
        for size in [1, 2, 7, 64] {
            let name = format!("{} in pieces of {size}", recorded.name);
            same(&name, &recorded.in_pieces(bytes.chunks(size)).said, &whole)?;
        }
        Ok(())
    });
}

#[test]
fn a_cut_stream_keeps_the_grammar_and_is_not_taken_for_whole() {
    each(&streams(), |recorded| {
        let mut chance = Chance::new(2);
        for _ in 0..30 {
            let cut = chance.below(recorded.bytes.len());
            let keep = recorded.in_pieces([&recorded.bytes[..cut]]);
            let answer = Answer::of(&keep.said);
            if keep.is_over() && answer.stop.is_some() {
                let whole = Answer::of(&recorded.decoded().said);
                // Only counts and what is ignored may be missing.
                same(&format!("{} cut at {cut}", recorded.name), &answer.blocks, &whole.blocks)?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_wounded_stream_keeps_the_grammar() {
    each(&streams(), |recorded| {
        let mut chance = Chance::new(3);
        for _ in 0..20 {
            let bytes = chance.wound(&recorded.bytes);
            let wounded = recorded.with(recorded.dialect, bytes);
            let whole = wounded.decoded().said;
            same(&recorded.name, &wounded.in_pieces(wounded.bytes.chunks(50)).said, &whole)?;
        }
        Ok(())
    });
}

#[test]
fn what_is_decoded_is_the_same_after_encoding_in_either_dialect() {
    each(&streams(), |recorded| {
        let keep = recorded.decoded();
        if !keep.is_over() {
            return Ok(());
        }
        let first = Answer::of(&keep.said).crossed();
        for dialect in BOTH {
            let name = format!("{} through {dialect:?}", recorded.name);
            let encoded = recorded.with(dialect, recorded.replayed(dialect));
            let again = Answer::of(&encoded.decoded().said).crossed();
            same(&name, &again.blocks, &first.blocks)?;
            same(&name, &again.stop, &first.stop)?;
            same(&name, &again.fault.is_some(), &first.fault.is_some())?;
            if first.usage.is_some() && first.fault.is_none() {
                same(&name, &again.usage, &first.usage)?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_dialects_own_stream_loses_nothing_on_its_way_through_its_own_encoder() {
    each(&streams(), |recorded| {
        let keep = recorded.decoded();
        if !keep.is_over() || recorded.dialect == Dialect::Chat {
            return Ok(());
        }
        let encoded = recorded.with(Dialect::Messages, recorded.replayed(Dialect::Messages));
        let (again, first) = (Answer::of(&encoded.decoded().said), Answer::of(&keep.said));
        same(
            &recorded.name,
            &(&again.blocks, &again.stop, &again.sequence),
            &(&first.blocks, &first.stop, &first.sequence),
        )
    });
}

#[test]
fn a_folded_stream_is_the_whole_answer() {
    each(&streams(), |recorded| {
        let keep = recorded.decoded();
        let first = Answer::of(&keep.said).crossed();
        if first.stop.is_none() {
            return Ok(());
        }
        for dialect in BOTH {
            let name = format!("{} folded as {dialect:?}", recorded.name);
            let body = recorded.folded(dialect);
            serde_json::from_slice::<serde_json::Value>(&body).map_err(|wrong| format!("{name}: {wrong}"))?;
            let folded = recorded.with(dialect, body);
            let again = folded.whole().ok_or_else(|| format!("{name}: no answer"))?;
            let again = Answer::of(&again).crossed();
            is_the_same(&name, dialect, &again, &first)?;
        }
        Ok(())
    });
}

/// Whether a whole answer of a dialect says what it was made from.
fn is_the_same(name: &str, dialect: Dialect, again: &Answer, first: &Answer) -> Result<(), String> {
    // A whole answer of Chat has its text in front of its calls, and its thinking in front of both.
    let order = |answer: &Answer| {
        let mut blocks = answer.blocks.clone();
        if dialect == Dialect::Chat {
            blocks.sort_by_key(|block| rank(&block.kind));
        }
        Answer { blocks, ..answer.clone() }.crossed().blocks
    };
    // Half an argument is no object: a whole answer of Messages cannot hold it.
    let parses =
        |args: &str| serde_json::from_str::<serde_json::Value>(args).is_ok_and(|args| args.is_object());
    if dialect == Dialect::Chat || first.arguments().into_iter().all(parses) {
        same(name, &order(again), &order(first))?;
    }
    same(name, &again.stop, &first.stop)?;
    if first.usage.is_some() { same(name, &again.usage, &first.usage) } else { Ok(()) }
}

fn rank(kind: &crate::answer::Kind) -> u8 {
    use crate::answer::Kind;
    match kind {
        Kind::Thinking => 0,
        Kind::Text | Kind::Refusal | Kind::Opaque => 1,
        Kind::Call(..) => 2,
    }
}

#[test]
fn a_whole_answer_is_the_same_after_folding_in_either_dialect() {
    each(&replies(), |recorded| {
        let said = recorded.whole().ok_or_else(|| format!("{}: no answer", recorded.name))?;
        let first = Answer::of(&said).crossed();
        for dialect in BOTH {
            let name = format!("{} folded as {dialect:?}", recorded.name);
            let again = recorded.with(dialect, recorded.refolded(dialect)).whole();
            let again = again.ok_or_else(|| format!("{name}: no answer"))?;
            is_the_same(&name, dialect, &Answer::of(&again).crossed(), &first)?;
        }
        Ok(())
    });
}

#[test]
fn usage_is_what_a_slow_reading_finds() {
    each(&streams(), |recorded| {
        let expected = twin::usage_of_stream(recorded.dialect, &recorded.bytes, recorded.traits);
        let answer = Answer::of(&recorded.decoded().said);
        if answer.stop.is_some() {
            same(
                &format!("{} decoded", recorded.name),
                &answer.usage.unwrap_or_default(),
                &expected.unwrap_or_default(),
            )?;
        }
        let metered = match recorded.dialect {
            Dialect::Messages => {
                let mut reader = anthropic::StreamReader::new();
                reader.push(&recorded.bytes);
                reader.meter().usage
            }
            Dialect::Chat => {
                let mut passage = chat::stream::verbatim::Passage::new(recorded.traits, "asked", true);
                passage.push(&recorded.bytes, &mut Vec::new());
                passage.meter().usage
            }
        };
        same(&format!("{} metered", recorded.name), &metered, &expected.unwrap_or_default())
    });
    each(&replies(), |recorded| {
        let expected =
            twin::usage_of_reply(recorded.dialect, &recorded.bytes, recorded.traits).unwrap_or_default();
        let said = recorded.whole().ok_or_else(|| format!("{}: no answer", recorded.name))?;
        same(&format!("{} decoded", recorded.name), &Answer::of(&said).usage.unwrap_or_default(), &expected)?;
        let metered = match recorded.dialect {
            Dialect::Messages => anthropic::Reply::read(&recorded.bytes).map(|reply| reply.meter.usage),
            Dialect::Chat => {
                chat::reply::Reply::read(&recorded.bytes, recorded.traits).map(|reply| reply.meter.usage)
            }
        };
        same(&format!("{} metered", recorded.name), &metered, &Some(expected))
    });
}

#[test]
fn both_kinds_of_clients_understand_every_recorded_stream() {
    each(&streams(), |recorded| {
        let first = Answer::of(&recorded.decoded().said).crossed();
        for dialect in BOTH {
            let stream = recorded.replayed(dialect);
            let read = match dialect {
                Dialect::Messages => strict::messages(&stream),
                Dialect::Chat => strict::chat(&stream),
            };
            let name = format!("{} to {dialect:?}", recorded.name);
            let got = read.map_err(|wrong| format!("{name}: {wrong}"))?;
            let (arguments, expected) = (got.calls.iter().map(|(_, args)| args.as_str()), first.arguments());
            let parses = |args: &str| serde_json::from_str::<serde_json::Value>(args).is_ok();
            for (args, expected) in arguments.zip(&expected) {
                let args = if args.is_empty() && dialect == Dialect::Messages { "{}" } else { args };
                all([if parses(expected) && !parses(args) {
                    Err(format!("{name}: {args}"))
                } else {
                    Ok(())
                }]);
            }
            same(&name, &got.calls.len(), &expected.len())?;
            same(&name, &got.error, &first.stop.is_none())?;
        }
        Ok(())
    });
}

/// A chat client's stream, passed on verbatim, is what came but for the model and the usage that nobody asked for.
#[test]
fn a_passed_stream_says_the_same() {
    let chat: Vec<Recorded> = streams().into_iter().filter(|one| one.dialect == Dialect::Chat).collect();
    each(&chat, |recorded| {
        for (asked, pieces) in [(true, 1), (false, 7)] {
            let mut passage = chat::stream::verbatim::Passage::new(recorded.traits, "asked-model", asked);
            let mut out = Vec::new();
            for piece in recorded.bytes.chunks(recorded.bytes.len() / pieces + 1) {
                passage.push(piece, &mut out);
            }
            let passed = Recorded { bytes: out, name: recorded.name.clone(), ..*recorded };
            let (again, first) = (Answer::of(&passed.decoded().said), Answer::of(&recorded.decoded().said));
            same(&recorded.name, &(&again.blocks, &again.stop), &(&first.blocks, &first.stop))?;
            if asked {
                same(&recorded.name, &again.usage, &first.usage)?;
            }
        }
        Ok(())
    });
}
