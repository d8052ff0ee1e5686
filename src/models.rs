//! The list of models that a caller may ask for, in Anthropic's and in `OpenAI`'s shape.
//!
//! What the configuration names: aliases, the providers' models, and where a provider of Claude takes the client's name as
//! it is, the Claude models that are known here; behind them the same models as pins. Asks no provider.

use serde_json::{Value, json};

use crate::auth::Caller;
use crate::config::snapshot::{Models, Provider, Snapshot};
use crate::error::{Error, Kind, Stage};
use crate::upstream::provider::entry;
use crate::wire::Dialect;
use crate::wire::anthropic::capability;

/// One model of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// What a client asks for.
    pub id: String,
    /// Who would answer, as far as one provider alone is named.
    pub owner: String,
}

/// Everything that a caller may ask for, each name once: aliases first, then by provider in the file's order, then
/// `PROVIDER/MODEL` for those whose models are named.
pub fn offered(snapshot: &Snapshot, caller: &Caller) -> Vec<Offered> {
    let Some(account) = snapshot.accounts.get(caller.account()) else { return Vec::new() };
    let allow = caller.allow();
    let may_use = |p: &&Provider| p.enabled && allow.providers.as_ref().is_none_or(|ids| ids.contains(&p.id));
    let mut list: Vec<Offered> = Vec::new();
    let mut add = |id: &str, owner: &str| {
        let may_ask = allow.models.as_ref().is_none_or(|patterns| patterns.iter().any(|p| p.matches(id)));
        if may_ask && !list.iter().any(|m| m.id == id) {
            list.push(Offered { id: id.to_owned(), owner: owner.to_owned() });
        }
    };
    snapshot.aliases.iter().for_each(|alias| add(&alias.name, "alias"));
    for provider in account.providers.iter().filter(may_use) {
        match &provider.models {
            Models::AsAsked if entry::entry(provider.kind).dialect == Dialect::Messages => {
                capability::known().for_each(|id| add(id, &provider.id));
            }
            Models::AsAsked => {}
            Models::One(model) => add(model, &provider.id),
            Models::Map(map) => {
                let exact =
                    map.iter().map(|(pattern, _)| pattern.as_str()).filter(|name| !name.contains('*'));
                exact.for_each(|id| add(id, &provider.id));
            }
        }
    }
    for provider in account.providers.iter().filter(may_use) {
        named(&provider.models).for_each(|model| add(&format!("{}/{model}", provider.id), &provider.id));
    }
    list
}

/// The models that a provider is asked for by name.
fn named(models: &Models) -> impl Iterator<Item = &str> {
    let (one, map) = match models {
        Models::AsAsked => (None, &[][..]),
        Models::One(model) => (Some(model.as_str()), &[][..]),
        Models::Map(map) => (None, map.as_slice()),
    };
    one.into_iter().chain(map.iter().map(|(_, model)| model.as_str()).filter(|model| *model != "*"))
}

/// One page of the list. Anthropic's takes `limit` (1 to 1000, 20 if absent), `after_id` and `before_id`.
pub fn page(list: &[Offered], query: &str, anthropic: bool) -> Result<String, Error> {
    if !anthropic {
        return Ok(
            json!({"object": "list", "data": list.iter().map(openai_shape).collect::<Vec<_>>()}).to_string()
        );
    }
    let limit = match parameter(query, "limit") {
        None => USUAL_PAGE,
        Some(text) => {
            text.parse().ok().filter(|n| (1..=LARGEST_PAGE).contains(n)).ok_or_else(|| wrong_limit(text))?
        }
    };
    let at = |name| parameter(query, name).and_then(|id| list.iter().position(|m| m.id == id));
    let from = at("after_id").map_or(0, |i| i + 1);
    let (from, to) = match at("before_id") {
        Some(end) => (end.saturating_sub(limit).max(from), end),
        None => (from, (from + limit).min(list.len())),
    };
    let shown = list.get(from..to).unwrap_or_default();
    Ok(json!({
        "data": shown.iter().map(anthropic_shape).collect::<Vec<_>>(),
        "has_more": if parameter(query, "before_id").is_some() { from > 0 } else { to < list.len() },
        "first_id": shown.first().map(|m| &m.id),
        "last_id": shown.last().map(|m| &m.id),
    })
    .to_string())
}

/// One model of the list.
pub fn one(list: &[Offered], id: &str, anthropic: bool) -> Result<String, Error> {
    let id = id.replace("%2F", "/").replace("%2f", "/");
    let found = list.iter().find(|m| m.id == id).ok_or_else(|| {
        let message = format!("model: {id}: this key cannot ask for it; GET /v1/models lists what it can");
        Error::new(Stage::Route, Kind::NotFound, message)
    })?;
    Ok(if anthropic { anthropic_shape(found) } else { openai_shape(found) }.to_string())
}

fn anthropic_shape(model: &Offered) -> Value {
    json!({"type": "model", "id": model.id, "display_name": model.id, "created_at": UNKNOWN_DATE})
}

fn openai_shape(model: &Offered) -> Value {
    json!({"id": model.id, "object": "model", "created": 0, "owned_by": model.owner})
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(n, value)| (n == name).then_some(value))
}

fn wrong_limit(text: &str) -> Error {
    let shown: String = text.chars().take(20).collect();
    let message = format!("limit: expected a number from 1 to {LARGEST_PAGE}, got `{shown}`");
    Error::new(Stage::Edge, Kind::BadRequest, message)
}

const USUAL_PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;
/// As Anthropic writes it where a release date is not known.
const UNKNOWN_DATE: &str = "1970-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::{Offered, offered, one, page};
    use crate::auth::Keys;
    use crate::config::{env::Given, from_text};

    fn list() -> Vec<Offered> {
        ["a", "b", "c"].map(|id| Offered { id: id.to_owned(), owner: "p".to_owned() }).to_vec()
    }

    fn ids(body: &str) -> (String, bool) {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let ids: Vec<&str> =
            body["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
        (ids.join(""), body["has_more"].as_bool().unwrap())
    }

    #[test]
    fn pages_follow_each_other() {
        for (query, expected, more) in [
            ("", "abc", false),
            ("limit=1000", "abc", false),
            ("limit=2", "ab", true),
            ("limit=2&after_id=b", "c", false),
            ("after_id=c", "", false),
            ("before_id=c&limit=1", "b", true),
            ("before_id=c", "ab", false),
        ] {
            let body = page(&list(), query, true).unwrap();
            assert_eq!(ids(&body), (expected.to_owned(), more), "{query}");
        }
        assert!(page(&list(), "limit=0", true).is_err());
    }

    #[test]
    fn named_models_are_offered_as_pins_too_and_no_claude_by_chat() {
        let text = r#"
accounts: [{ id: a, providers: [
  { id: chat, type: groq, api_key: x },
  { id: one, type: openai, api_key: x, model: gpt-4o },
  { id: map, type: gemini, api_key: x, models: { small: gemini-f, "gemini-*": "*", "*": gemini-p } }] }]
aliases: { best: one/gpt-5 }
"#;
        let snapshot = from_text("test", text, &Given::new()).unwrap();
        let list = offered(&snapshot, &Keys::new(&snapshot).everyone());
        let ids: Vec<&str> = list.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, ["best", "gpt-4o", "small", "one/gpt-4o", "map/gemini-f", "map/gemini-p"]);
    }

    #[test]
    fn one_model_in_both_shapes() {
        assert!(one(&list(), "a", true).unwrap().contains(r#""type":"model""#));
        assert!(one(&list(), "a", false).unwrap().contains(r#""owned_by":"p""#));
        assert!(one(&list(), "z", true).is_err());
    }
}
