//! The record of one request: what was asked, who answered, when, and what it used.
//!
//! Column names follow the table of the request log, so that a later store takes it as it is. Holds no secret and no
//! content: ids, names, counts and times only.
//!
//! All texts lie in one buffer, and spent records are used again: a record costs the request path no allocation, and the
//! log thread frees nothing that a worker allocated.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::wire::meter::Usage;

/// The texts of a record, in the order of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Our id, as told to the client.
    Rid,
    /// The provider's id of the last attempt.
    UpstreamRid,
    /// The key's id.
    Key,
    /// The key's team.
    Team,
    /// The key's customer.
    Customer,
    /// The key's owner.
    Owner,
    /// The client's session.
    Session,
    /// The client's sub-agent.
    Agent,
    /// `x-pointsman-tags`.
    Tags,
    /// The model that the client asked for.
    Asked,
    /// The provider that answered, or was asked last.
    Provider,
    /// The id of its key.
    Credential,
    /// The model that was sent.
    Model,
    /// The model that the provider named.
    Answered,
    /// Every attempt: `openai-primary:429, gemini-fallback:ok`.
    Attempts,
    /// Who was left out, and why.
    LeftOut,
    /// What translation or shaping could not carry.
    Loss,
    /// Why the model stopped.
    Stop,
    /// Class of the failure that the client saw.
    Err,
}

/// One request. Times are microseconds; offsets count from `t_recv`, 0 = it did not happen.
#[derive(Debug, Default, Clone)]
pub struct Record {
    texts: String,
    /// Ranges of `texts`, by [`Text`].
    spans: [(u32, u32); NAMES.len()],
    /// Received, Unix time.
    pub t_recv: u64,
    /// The request went to the (last) upstream.
    pub d_up: u64,
    /// The first byte of its answer.
    pub d_byte: u64,
    /// The first content.
    pub d_token: u64,
    /// The answer ended.
    pub d_end: u64,
    /// Own time up to the first upstream request.
    pub overhead_us: u64,
    /// `messages`, `count_tokens`, `models`.
    pub surface: &'static str,
    /// Whether it was streamed.
    pub stream: bool,
    /// The status that the client got; 0: it was gone before.
    pub status: u16,
    /// Who cut the answer: `client`, `upstream`, `gateway`; empty: nobody.
    pub cut_by: &'static str,
    /// Tokens, disjoint.
    pub usage: Usage,
    /// Whether the usage is final, partial (the answer was cut) or was never told: `final`, `partial`, `none`; `estimated`: counted here.
    pub usage_src: &'static str,
    /// The client's body.
    pub bytes_in: u64,
    /// What the client got, without heads and framing.
    pub bytes_out: u64,
}

impl Record {
    /// A text; empty where there is none.
    pub fn get(&self, which: Text) -> &str {
        let (start, end) = self.spans[which as usize];
        self.texts.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Sets a text, over what was there.
    pub fn set(&mut self, which: Text, text: &str) {
        self.write(which, |out| out.push_str(text));
    }

    /// Sets a text to what `write` appends.
    pub fn write(&mut self, which: Text, write: impl FnOnce(&mut String)) {
        let start = self.texts.len();
        write(&mut self.texts);
        let range = (u32::try_from(start), u32::try_from(self.texts.len()));
        // Texts of four gigabytes do not come: heads are bounded.
        self.spans[which as usize] = (range.0.unwrap_or(0), range.1.unwrap_or(0));
    }

    /// An empty record that keeps its room, unless that grew beyond the usual.
    pub fn emptied(mut self: Box<Self>) -> Box<Self> {
        let mut texts = std::mem::take(&mut self.texts);
        texts.clear();
        if texts.capacity() > USUAL {
            texts = String::new();
        }
        *self = Self { texts, ..Self::default() };
        self
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (which, name) in NAMES {
            let text = self.get(which);
            if which == Text::LeftOut && !text.is_empty() {
                map.serialize_entry(name, &text.split('\n').collect::<Vec<_>>())?;
            } else if !text.is_empty() {
                map.serialize_entry(name, text)?;
            }
        }
        for (name, number) in [
            ("t_recv", self.t_recv),
            ("d_up", self.d_up),
            ("d_byte", self.d_byte),
            ("d_token", self.d_token),
            ("d_end", self.d_end),
            ("overhead_us", self.overhead_us),
            ("status", u64::from(self.status)),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
        ] {
            map.serialize_entry(name, &number)?;
        }
        map.serialize_entry("surface", self.surface)?;
        map.serialize_entry("stream", &self.stream)?;
        if !self.cut_by.is_empty() {
            map.serialize_entry("cut_by", self.cut_by)?;
        }
        map.serialize_entry("usage", &self.usage)?;
        map.serialize_entry("usage_src", self.usage_src)?;
        map.end()
    }
}

/// The columns of the texts, as [`Text`].
const NAMES: [(Text, &str); 19] = [
    (Text::Rid, "rid"),
    (Text::UpstreamRid, "upstream_rid"),
    (Text::Key, "key"),
    (Text::Team, "team"),
    (Text::Customer, "customer"),
    (Text::Owner, "owner"),
    (Text::Session, "session"),
    (Text::Agent, "agent"),
    (Text::Tags, "tags"),
    (Text::Asked, "asked"),
    (Text::Provider, "provider"),
    (Text::Credential, "credential"),
    (Text::Model, "model"),
    (Text::Answered, "answered"),
    (Text::Attempts, "attempts"),
    (Text::LeftOut, "left_out"),
    (Text::Loss, "loss"),
    (Text::Stop, "stop"),
    (Text::Err, "err"),
];

/// Room for the texts of nearly every request.
const USUAL: usize = 2048;

#[cfg(test)]
mod tests {
    use super::{NAMES, Record, Text};

    #[test]
    fn names_stand_in_the_order_of_the_texts() {
        for (place, (which, _)) in NAMES.iter().enumerate() {
            assert_eq!(*which as usize, place);
        }
    }

    #[test]
    fn the_last_text_counts_and_an_emptied_record_has_none() {
        let mut record = Box::<Record>::default();
        record.set(Text::Provider, "first");
        record.set(Text::Model, "m");
        record.set(Text::Provider, "second");
        record.set(Text::LeftOut, "a: why\nb: why");
        assert_eq!((record.get(Text::Provider), record.get(Text::Model)), ("second", "m"));
        let line = serde_json::to_string(&record).unwrap();
        assert!(line.contains(r#""provider":"second","model":"m","left_out":["a: why","b: why"]"#), "{line}");
        let record = record.emptied();
        assert_eq!((record.get(Text::Provider), record.get(Text::Model)), ("", ""));
    }
}
