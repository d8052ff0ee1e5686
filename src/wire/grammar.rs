//! The order that events come in, as a machine that refuses any other.
//!
//! ```text
//!            Start              Open              Close
//!   Fresh ──────────▶ Between ────────▶ Inside ────────▶ Between
//!     │                 │ ▲ Usage        │ ▲ Delta          │ Stop
//!     │ Fault           │ └─┘            │ └─┘              ▼
//!     └────────────────▶└── Fault ──────▶└── Fault ──────▶ Over
//! ```
//!
//! Every decoder keeps it, so that encoders need no defence of their own. For tests and debug builds; reads no content
//! beyond emptiness.
//!
//! ```
//! use pointsman::wire::grammar::Grammar;
//! use pointsman::wire::ir::{Delta, Event, Open};
//! let mut grammar = Grammar::new();
//! assert!(grammar.check(&Event::Start { model: None }).is_ok());
//! assert!(grammar.check(&Event::Open(Open::Text)).is_ok());
//! assert!(grammar.check(&Event::Delta(Delta::Text(b"hi"))).is_ok());
//! assert!(grammar.check(&Event::Open(Open::Thinking)).is_err());
//! ```

use super::ir::{Delta, Event, Open};

/// Where an answer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Fresh,
    Between,
    Inside(Kind),
    Over,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Sealed,
    ToolCall,
    Opaque,
}

/// The machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grammar {
    state: State,
}

impl Grammar {
    /// Before the first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event; `Err` says what was wrong with it.
    pub fn check(&mut self, event: &Event<'_>) -> Result<(), String> {
        match self.next(event) {
            Some(state) => {
                self.state = state;
                Ok(())
            }
            None => Err(format!("{event:?} in {:?}", self.state)),
        }
    }

    /// Whether the answer came to its end.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn next(self, event: &Event<'_>) -> Option<State> {
        use State::{Between, Fresh, Inside, Over};
        Some(match (self.state, event) {
            (Fresh, Event::Start { .. }) | (Between, Event::Usage(_)) | (Inside(_), Event::Close) => Between,
            (Between, Event::Open(open)) => Inside(kind(open)?),
            (Inside(kind), Event::Delta(delta)) => Inside(more(kind, delta)?),
            // In front of a fault, which may come inside a block.
            (Inside(kind), Event::Usage(_)) => Inside(kind),
            (Between, Event::Stop { .. }) | (Fresh | Between | Inside(_), Event::Fault(_)) => Over,
            _ => return None,
        })
    }
}

fn kind(open: &Open<'_>) -> Option<Kind> {
    Some(match open {
        Open::Text | Open::Refusal => Kind::Text,
        Open::Thinking => Kind::Thinking,
        Open::ToolCall { id, name } if id.is_empty() || name.is_empty() => return None,
        Open::ToolCall { .. } => Kind::ToolCall,
        Open::Opaque { .. } => Kind::Opaque,
    })
}

fn more(kind: Kind, delta: &Delta<'_>) -> Option<Kind> {
    Some(match (kind, delta) {
        (Kind::Text | Kind::Thinking, Delta::Text(text)) if !text.is_empty() => kind,
        (Kind::Text, Delta::Citation { .. }) => kind,
        (Kind::Thinking, Delta::Seal { .. }) => Kind::Sealed,
        (Kind::ToolCall, Delta::Args(args)) if !args.is_empty() => kind,
        _ => return None,
    })
}
