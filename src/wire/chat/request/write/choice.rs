//! `tool_choice` and `parallel_tool_calls`: which tool must be called, as far as the provider lets it be said.
//!
//! A tool that the provider would have to run itself cannot be forced, and there is nothing to relax it to: that is
//! refused. Whether the model shall think for the call is told back, because some providers do not take both.

use std::sync::Arc;

use super::{Given, Request, thinking};
use crate::error::Error;
use crate::json::{self, Edits, Span, member_of};
use crate::wire::Loss;
use crate::wire::chat::repair::Field;
use crate::wire::ir::{Choice, Escaped, Switch};
use crate::wire::names;
use crate::wire::refusal::bad;
use crate::wire::traits::ForcedChoice;
use crate::wire::translate::Toolbox;

/// What is said of the choice.
pub(super) struct Chosen<'a> {
    word: Option<Word<'a>>,
    /// Only this entry of the list is offered, since it cannot be named.
    only: Option<usize>,
    /// The model must not think for this call.
    pub(super) unthinking: bool,
}

#[derive(Clone, Copy)]
enum Word<'a> {
    Auto,
    None,
    Any,
    Tool(&'a Escaped<'a>),
}

impl Chosen<'_> {
    const UNSAID: Chosen<'static> = Chosen { word: None, only: None, unthinking: false };
}

/// The list that is sent: nearly always the very one that was translated before.
pub(super) fn offered(
    request: &mut Request<'_, '_>,
    tools: &Arc<Toolbox>,
    chosen: &Chosen<'_>,
) -> Arc<Toolbox> {
    let refused = [(Field::ToolStrict, "strict"), (Field::CacheControl, "cache_control")];
    let refused = refused.into_iter().filter(|(field, _)| request.given.drops(*field));
    let mut sent = Arc::clone(tools);
    for (field, name) in refused {
        if let Some(json) = without(&sent.json, name) {
            request.loss.add(field.name());
            sent = Arc::new(Toolbox { json, ..Toolbox::clone(&sent) });
        }
    }
    let entry =
        chosen.only.and_then(|only| json::elements(&sent.json, Span::all(&sent.json)).nth(only)?.ok());
    match entry {
        None => sent,
        Some(entry) => {
            let json = [b"[", entry.of(&sent.json), b"]"].concat().into_boxed_slice();
            Arc::new(Toolbox { json, ..Toolbox::clone(&sent) })
        }
    }
}

/// The list without a member of each tool or of its function; `None` where no tool has it.
fn without(list: &[u8], name: &str) -> Option<Box<[u8]>> {
    let mut edits = Edits::new();
    for tool in json::elements(list, Span::all(list)).map_while(Result::ok) {
        let function = member_of(list, tool, "function").map(|function| function.value);
        let places = [Some(tool), function].into_iter().flatten();
        places
            .filter_map(|place| member_of(list, place, name))
            .for_each(|member| edits.remove(member.whole()));
    }
    (!edits.is_empty()).then(|| edits.on(list).to_vec().into_boxed_slice())
}

/// Decides what is said.
pub(super) fn choose<'a>(given: &Given<'a>, loss: &mut Loss) -> Result<Chosen<'a>, Error> {
    let Some(choice) = &given.conversation.choice else { return Ok(Chosen::UNSAID) };
    refuse_foreign(given, choice)?;
    if given.tools.offered.is_empty() {
        if matches!(choice, Choice::Any | Choice::Tool(_)) {
            loss.add("tool_choice");
        }
        return Ok(Chosen::UNSAID);
    }
    Ok(match choice {
        Choice::Auto => said(Word::Auto),
        Choice::None => said(Word::None),
        Choice::Any => forced(given, Word::Any, loss),
        Choice::Tool(name) if given.tools.offers(name.as_bytes()) => forced(given, Word::Tool(name), loss),
        Choice::Tool(_) => {
            loss.add("tool_choice");
            said(Word::Auto)
        }
    })
}

fn said(word: Word<'_>) -> Chosen<'_> {
    Chosen { word: Some(word), ..Chosen::UNSAID }
}

/// Refuses to go on without a tool that must be called and that nobody here can run.
fn refuse_foreign(given: &Given<'_>, choice: &Choice<'_>) -> Result<(), Error> {
    let left_out = &given.tools.left_out;
    let name = match choice {
        Choice::Tool(name) if !given.tools.offers(name.as_bytes()) => {
            left_out.iter().find(|known| ***known == *name.as_bytes())
        }
        Choice::Any if given.tools.offered.is_empty() => left_out.first(),
        Choice::Auto | Choice::None | Choice::Any | Choice::Tool(_) => None,
    };
    match name {
        None => Ok(()),
        Some(name) => Err(bad(format!(
            "tool_choice: `{}` must be called, but it is a tool that the provider would have to run itself, and the \
             provider of `{}` has no such tool",
            String::from_utf8_lossy(name),
            given.target.model
        ))),
    }
}

fn forced<'a>(given: &Given<'a>, word: Word<'a>, loss: &mut Loss) -> Chosen<'a> {
    let thinks = thinking::level(given, false).thinks;
    let unthinking = match given.traits.forced_choice {
        ForcedChoice::Free => false,
        ForcedChoice::NotThinking if !thinks => false,
        ForcedChoice::NotThinking if !thinking::level(given, true).thinks => true,
        ForcedChoice::NotThinking | ForcedChoice::Never => {
            loss.add("tool_choice");
            return said(Word::Auto);
        }
    };
    if unthinking && given.conversation.reasoning.switch == Switch::On {
        loss.add("thinking");
    }
    match word {
        Word::Tool(name) if !given.traits.named_choice => {
            let only = given.tools.offered.iter().position(|known| **known == *name.as_bytes());
            Chosen { word: Some(Word::Any), only, unthinking }
        }
        word => Chosen { word: Some(word), only: None, unthinking },
    }
}

/// Writes what concerns tools, behind them.
pub(super) fn write(request: &mut Request<'_, '_>, chosen: &Chosen<'_>) {
    let traits = request.given.traits;
    match chosen.word {
        None => {}
        Some(Word::Auto) => request.word("tool_choice", b"auto"),
        Some(Word::None) => request.word("tool_choice", b"none"),
        Some(Word::Any) => request.word("tool_choice", traits.required.as_bytes()),
        Some(Word::Tool(name)) => named(request, name),
    }
    let Some(parallel) = request.given.conversation.parallel else { return };
    if traits.parallel_switch && request.given.model.is_none_or(|model| model.parallel) {
        request.member("parallel_tool_calls", if parallel { b"true" } else { b"false" });
    } else if !parallel {
        request.loss.add("disable_parallel_tool_use");
    }
}

fn named(request: &mut Request<'_, '_>, name: &Escaped<'_>) {
    if request.opens("tool_choice") {
        request.out.extend_from_slice(b"{\"type\":\"function\",\"function\":{\"name\":\"");
        request.out.extend_from_slice(&names::fit_name(name, request.given.traits.name_length));
        request.out.extend_from_slice(b"\"}}");
    }
}
