//! What mends a request that a model refused, whatever dialect the model is asked in.
//!
//! Named by the reading of errors ([`super::fault`]), kept by the routing as bits of one number for each provider and
//! model (their meaning is the target's dialect's), and honoured by whoever shapes or writes the next request. Changes
//! no body itself.

use super::{anthropic, chat};

/// One change after which a refused request may be asked again, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    /// Leave this out: the model does not take it. It will not take it next time either, so this is remembered.
    Drop(Field),
    /// Cut all thinking out of the history: a signature in it was refused, or one is missing. That is about these
    /// messages and not about the model, so it is not remembered.
    CutThinking,
}

/// A field of the target's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Of Anthropic Messages.
    Messages(anthropic::Field),
    /// Of Chat Completions.
    Chat(chat::repair::Field),
}

impl Repair {
    /// The bit that stands for it where repairs are remembered; 0 for what is not.
    pub fn bit(self) -> u64 {
        match self {
            Self::Drop(Field::Messages(field)) => field.bit(),
            Self::Drop(Field::Chat(field)) => field.bit(),
            Self::CutThinking => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_model_is_remembered_and_what_is_about_these_messages_is_not() {
        let messages = Repair::Drop(Field::Messages(anthropic::Field::TopK));
        let chat = Repair::Drop(Field::Chat(chat::repair::Field::TopK));
        assert_eq!(messages.bit(), anthropic::Field::TopK.bit());
        assert_eq!(chat.bit(), chat::repair::Field::TopK.bit());
        assert_eq!(Repair::CutThinking.bit(), 0);
    }
}
