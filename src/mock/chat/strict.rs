//! What Chat providers refuse of a request as a whole: its key, its fields, its settings, its size.
//!
//! What is offered is looked at by [`super::offers`], what was said by [`super::turns`]. Checks run in one order, and the
//! first refusal is the answer. Repairs nothing.

use serde_json::{Map, Value};

use super::flavour::{Flavour, Unknown};
use super::models::{self, Model, Thinks};
use super::refusal::{Refusal, guard};
use super::words::Wrong;
use super::{offers, turns};
use crate::mock::{Options, Request};

/// A body that a provider would take.
#[derive(Debug)]
pub struct Checked {
    /// The body; an object with a known model and a conversation in order.
    pub body: Value,
    /// What the model takes.
    pub model: &'static Model,
}

/// Checks a request of `chat/completions`. Whether it fits the window is [`window`]'s.
pub fn chat(request: &Request<'_>, flavour: &Flavour, options: &Options) -> Result<Checked, Refusal> {
    key(request, flavour, options)?;
    let body = read(request, flavour)?;
    let model = known_model(&body, flavour)?;
    fields(&body, flavour)?;
    required(&body)?;
    lengths(&body)?;
    stream(&body, flavour)?;
    limit(&body, flavour, model)?;
    sampling(&body, flavour, model)?;
    stops(&body, flavour, model)?;
    effort(&body, flavour, model)?;
    offers::check(&body, flavour, model)?;
    turns::check(&body, flavour, model)?;
    Ok(Checked { body, model })
}

/// A key as `Authorization: Bearer`, where the provider wants one. Any key will do.
pub fn key(request: &Request<'_>, flavour: &Flavour, options: &Options) -> Result<(), Refusal> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let has = bearer.is_some_and(|key| !key.trim().is_empty());
    guard(has || !flavour.key || options.keyless, || Refusal::says(flavour, Wrong::Key, "", &[]))
}

/// The body as an object.
pub fn read(request: &Request<'_>, flavour: &Flavour) -> Result<Value, Refusal> {
    let body: Option<Value> = serde_json::from_slice(request.body).ok();
    body.filter(Value::is_object).ok_or_else(|| Refusal::says(flavour, Wrong::Body, "", &[]))
}

/// The model that a body names.
pub fn known_model(body: &Value, flavour: &Flavour) -> Result<&'static Model, Refusal> {
    let Some(id) = body["model"].as_str().filter(|id| !id.is_empty()) else {
        return Err(Refusal::invalid("", None, "you must provide a model parameter"));
    };
    models::find(id).ok_or_else(|| Refusal::says(flavour, Wrong::Model, "", &[("model", &id)]))
}

/// Whether the model thinks for this request.
pub fn thinks(body: &Value, model: &Model) -> bool {
    let wish = wish(body);
    match model.thinks {
        Thinks::Never => false,
        Thinks::Always => true,
        Thinks::Asked => wish == Some(true),
        Thinks::ByDefault => wish != Some(false),
    }
}

/// What the request says about thinking, in whatever field.
fn wish(body: &Value) -> Option<bool> {
    let word = |value: &Value| value.as_str().map(|level| level != "none");
    let of_type = || body["thinking"]["type"].as_str().map(|kind| kind != "disabled");
    let object = || {
        let reasoning = body["reasoning"].as_object()?;
        let enabled = reasoning.get("enabled").and_then(Value::as_bool);
        enabled.or_else(|| reasoning.get("effort").and_then(word)).or(Some(true))
    };
    let template = || body["chat_template_kwargs"]["enable_thinking"].as_bool();
    of_type().or_else(object).or_else(template).or_else(|| word(&body["reasoning_effort"]))
}

fn fields(body: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    if flavour.unknown == Unknown::Ignored {
        return Ok(());
    }
    let takes = |field: &&String| {
        let field = field.as_str();
        flavour.more.contains(&field) || (COMMON.contains(&field) && !flavour.less.contains(&field))
    };
    let mut wrong = body.as_object().into_iter().flat_map(Map::keys).filter(|field| !takes(field));
    wrong.next().map_or(Ok(()), |field| Err(unknown(flavour, field, "", field)))
}

/// The refusal of a field that is not known: its whole name, where it stands, and its last name.
pub fn unknown(flavour: &Flavour, field: &str, place: &str, name: &str) -> Refusal {
    let at = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
    Refusal::says(flavour, Wrong::Field, field, &[("field", &field), ("place", &at), ("name", &name)])
}

fn required(body: &Value) -> Result<(), Refusal> {
    let missing = || {
        Refusal::invalid(
            "messages",
            Some("missing_required_parameter"),
            "Missing required parameter: 'messages'.",
        )
    };
    guard(!body["messages"].is_null(), missing)?;
    let is_list = body["messages"].as_array();
    guard(is_list.is_some(), || {
        let message = "Invalid type for 'messages': expected an array of objects.";
        Refusal::invalid("messages", Some("invalid_type"), message)
    })?;
    guard(is_list.is_some_and(|list| !list.is_empty()), || empty("messages"))
}

/// The refusal of a list without an element.
pub fn empty(field: &str) -> Refusal {
    let message = format!(
        "Invalid '{field}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    );
    Refusal::invalid(field, Some("empty_array"), message)
}

/// The refusal of a list with too many elements.
pub fn too_many(field: &str, most: usize, given: usize) -> Refusal {
    let message = format!(
        "Invalid '{field}': array too long. Expected an array with maximum length {most}, but got an array with length \
         {given} instead."
    );
    Refusal::invalid(field, Some("array_above_max_length"), message)
}

/// The refusal of a text with too many characters.
pub fn too_long(field: &str, most: usize, given: usize) -> Refusal {
    let message = format!(
        "Invalid '{field}': string too long. Expected a string with maximum length {most}, but got a string with length \
         {given} instead."
    );
    Refusal::invalid(field, Some("string_above_max_length"), message)
}

fn lengths(body: &Value) -> Result<(), Refusal> {
    for field in ["prompt_cache_key", "user", "safety_identifier"] {
        let given = body[field].as_str().map_or(0, |text| text.chars().count());
        guard(given <= MAX_KEY, || too_long(field, MAX_KEY, given))?;
    }
    let metadata = body["metadata"].as_object().map_or(0, Map::len);
    guard(metadata == 0 || body["store"] == true, || {
        let message = "The 'metadata' parameter is only allowed when 'store' is enabled.";
        Refusal::invalid("metadata", None, message)
    })
}

fn stream(body: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let fits = body["stream_options"].is_null() || body["stream"] == true;
    guard(fits, || Refusal::says(flavour, Wrong::StreamOptions, "stream_options", &[]))?;
    let many = body["n"].as_u64().unwrap_or(1) > 1;
    guard(!many || flavour.by_model, || Refusal::invalid("n", None, "'n' : number must be at most 1"))
}

fn limit(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    let given = |field: &str| !body[field].is_null();
    let openai = flavour.name == "openai";
    guard(!(openai && model.reasons && given("max_tokens")), || {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
        Refusal::invalid("max_tokens", Some("unsupported_parameter"), message)
    })?;
    guard(!(openai && given("max_tokens") && given("max_completion_tokens")), || {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        Refusal::invalid("max_tokens", Some("invalid_parameter_combination"), message)
    })?;
    for field in ["max_tokens", "max_completion_tokens"].into_iter().filter(|field| given(field)) {
        guard(body[field].is_i64() || body[field].is_u64(), || {
            let message =
                format!("Invalid type for '{field}': expected an integer, but got something else instead.");
            Refusal::invalid(field, Some("invalid_type"), message)
        })?;
        let Some(asked) = body[field].as_u64().filter(|asked| *asked > 0) else {
            let message = format!(
                "Invalid '{field}': integer below minimum value. Expected a value >= 1, but got {} instead.",
                body[field]
            );
            return Err(Refusal::invalid(field, Some("integer_below_min_value"), message));
        };
        let fits = asked <= model.output || !CAPPED.contains(&flavour.name);
        guard(fits, || {
            let values: [(&str, &dyn std::fmt::Display); 3] =
                [("field", &field), ("given", &asked), ("limit", &model.output)];
            Refusal::says(flavour, Wrong::Limit, field, &values)
        })?;
    }
    Ok(())
}

fn sampling(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    for (field, most) in [("temperature", 2.0), ("top_p", 1.0)] {
        let given = body[field].as_f64();
        guard(given.is_none_or(|n| n <= most), || {
            let message = format!(
                "Invalid '{field}': decimal above maximum value. Expected a value <= {most}, but got {} instead.",
                body[field]
            );
            Refusal::invalid(field, Some("decimal_above_max_value"), message)
        })?;
    }
    if !flavour.by_model {
        return Ok(());
    }
    let refused = |field: &str| Refusal::says(flavour, Wrong::Setting, field, &[("field", &field)]);
    if flavour.name == "xai" {
        let set = ["frequency_penalty", "presence_penalty", "stop"].into_iter();
        let wrong = set.filter(|field| !body[*field].is_null() && model.thinks == Thinks::Always).min();
        return wrong.map_or(Ok(()), |field| Err(refused(field)));
    }
    if !model.reasons {
        return Ok(());
    }
    for field in ["frequency_penalty", "presence_penalty", "logit_bias"] {
        guard(body[field].is_null() || body[field] == 0, || refused(field))?;
    }
    // From gpt-5.1 on a model that does not think is sampled like any other.
    if model.thinks == Thinks::Asked && !thinks(body, model) {
        return Ok(());
    }
    let usual = body["temperature"].is_null() || body["temperature"].as_f64() == Some(1.0);
    guard(usual, || {
        let message = format!(
            "Unsupported value: 'temperature' does not support {} with this model. Only the default (1) value is \
             supported.",
            body["temperature"]
        );
        Refusal::invalid("temperature", Some("unsupported_value"), message)
    })?;
    for field in ["top_p", "logprobs", "top_logprobs"] {
        guard(body[field].is_null() || body[field] == false, || refused(field))?;
    }
    Ok(())
}

fn stops(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    guard(body["stop"].is_null() || !model.unstoppable || flavour.name != "openai", || {
        Refusal::says(flavour, Wrong::Setting, "stop", &[("field", &"stop")])
    })?;
    let given = body["stop"].as_array().map_or(0, Vec::len);
    guard(given <= flavour.stops, || too_many("stop", flavour.stops, given))
}

fn effort(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    let Some(effort) = body["reasoning_effort"].as_str() else { return Ok(()) };
    if flavour.name == "openai" && !model.reasons && model.thinks == Thinks::Never {
        let message = "Unrecognized request argument supplied: reasoning_effort";
        return Err(Refusal::invalid("", None, message));
    }
    let lists = !model.efforts.is_empty() && (flavour.by_model || flavour.name == "groq");
    if flavour.name == "xai" && !lists {
        let values: [(&str, &dyn std::fmt::Display); 1] = [("field", &"reasoningEffort")];
        return Err(Refusal::says(flavour, Wrong::Setting, "reasoning_effort", &values));
    }
    let levels = if lists { model.efforts } else { flavour.efforts };
    guard(levels.is_empty() || levels.contains(&effort), || {
        let told = match levels {
            [before @ .., last] => {
                let before: Vec<String> = before.iter().map(|level| format!("'{level}'")).collect();
                format!("{}, and '{last}'", before.join(", "))
            }
            [] => String::new(),
        };
        let values: [(&str, &dyn std::fmt::Display); 2] = [("effort", &effort), ("levels", &told)];
        Refusal::says(flavour, Wrong::Effort, "reasoning_effort", &values)
    })
}

/// Whether `input` tokens and the output asked for fit the model's window.
pub fn window(checked: &Checked, flavour: &Flavour, input: u64) -> Result<(), Refusal> {
    let context = checked.model.context;
    let asked = output_limit(&checked.body).unwrap_or(0);
    // vLLM and Together count what may be said; the others let the answer end at the window.
    let counted = if matches!(flavour.name, "vllm" | "together") { asked } else { 0 };
    guard(input + counted <= context, || {
        let (total, over) = (input + asked, (input + counted).saturating_sub(context));
        let values: [(&str, &dyn std::fmt::Display); 5] = [
            ("context", &context),
            ("input", &input),
            ("output", &asked),
            ("total", &total),
            ("over", &over),
        ];
        Refusal::says(flavour, Wrong::Window, "messages", &values)
    })
}

/// The output limit that a body asks for.
pub fn output_limit(body: &Value) -> Option<u64> {
    body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64())
}

/// Who refuses a limit above the model's; the others lower it.
const CAPPED: &[&str] = &["openai", "groq", "deepseek", "gemini"];
/// Characters of keys and of end users.
const MAX_KEY: usize = 64;

/// Fields of a request (`wire.md` section 2.1).
const COMMON: &[&str] = &[
    "model",
    "messages",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "service_tier",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "prediction",
    "modalities",
    "audio",
    "web_search_options",
    "moderation",
    "functions",
    "function_call",
];

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::mock::chat::flavour::of_path;

    /// Checks a request that every provider takes, with `changes` over it.
    pub fn check(base: &str, changes: &Value) -> Result<Checked, Refusal> {
        let mut body = json!({"model": "mock-1", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (text, path) = (body.to_string(), format!("{base}/chat/completions"));
        let headers = [("authorization", "Bearer k")];
        let request =
            Request { method: "POST", path: &path, query: "", headers: &headers, body: text.as_bytes() };
        chat(&request, of_path(&path).unwrap().0, &Options::default())
    }

    /// Each case: the base, what is changed, and a part of the refusal; empty where there is none.
    pub fn table(cases: &[(&str, Value, &str)]) {
        for (base, changes, expected) in cases {
            match check(base, changes) {
                Ok(_) => assert_eq!(*expected, "", "{base}: {changes} was let through"),
                Err(refusal) => {
                    assert!(!expected.is_empty(), "{base}: {changes} was refused: {}", refusal.message);
                    assert!(refusal.message.contains(expected), "{base} {changes}: {}", refusal.message);
                }
            }
        }
    }

    const OPENAI: &str = "/openai/v1";
    const GROQ: &str = "/groq/openai/v1";
    const MISTRAL: &str = "/mistral/v1";
    const GEMINI: &str = "/gemini/v1beta/openai";

    #[test]
    fn fields_that_are_not_known_are_refused_by_the_picky() {
        table(&[
            (OPENAI, json!({"top_k": 5}), "Unknown parameter: 'top_k'."),
            (GROQ, json!({"top_k": 5}), "property 'top_k' is unsupported"),
            (GROQ, json!({"logit_bias": {}}), "property 'logit_bias' is unsupported"),
            (MISTRAL, json!({"top_k": 5}), "Extra inputs are not permitted"),
            (MISTRAL, json!({"max_completion_tokens": 5}), "Extra inputs are not permitted"),
            (MISTRAL, json!({"random_seed": 5}), ""),
            (GEMINI, json!({"top_k": 5}), "Unknown name \"top_k\": Cannot find field."),
            ("/cerebras/v1", json!({"presence_penalty": 1}), "property 'presence_penalty' is unsupported"),
            ("/openrouter/api/v1", json!({"top_k": 5}), ""),
            ("/vllm/v1", json!({"top_k": 5}), ""),
        ]);
    }

    #[test]
    fn limits_and_sampling_depend_on_the_model() {
        table(&[
            (OPENAI, json!({"model": "gpt-5", "max_tokens": 5}), "Use 'max_completion_tokens' instead."),
            (OPENAI, json!({"model": "gpt-5", "max_completion_tokens": 5}), ""),
            (OPENAI, json!({"model": "gpt-4o", "max_tokens": 16_385}), "at most 16384 completion tokens"),
            (OPENAI, json!({"max_tokens": 0}), "Expected a value >= 1, but got 0"),
            (OPENAI, json!({"max_tokens": "9"}), "Invalid type for 'max_tokens'"),
            (OPENAI, json!({"max_tokens": 1, "max_completion_tokens": 1}), "at the same time"),
            ("/openrouter/api/v1", json!({"model": "openai/gpt-4o", "max_tokens": 99_999}), ""),
            (OPENAI, json!({"model": "gpt-5", "temperature": 0.5}), "Only the default (1) value"),
            (OPENAI, json!({"model": "gpt-5", "temperature": 1}), ""),
            (OPENAI, json!({"model": "gpt-5.1", "temperature": 0.5}), ""),
            (
                OPENAI,
                json!({"model": "gpt-5.1", "temperature": 0.5, "reasoning_effort": "low"}),
                "Only the default",
            ),
            (OPENAI, json!({"model": "o3", "top_p": 0.5}), "'top_p' is not supported with this model"),
            (OPENAI, json!({"model": "o3", "stop": "x"}), "'stop' is not supported with this model"),
            (OPENAI, json!({"temperature": 3}), "decimal above maximum value"),
            (OPENAI, json!({"stop": ["a", "b", "c", "d", "e"]}), "maximum length 4"),
            (OPENAI, json!({"prompt_cache_key": "k".repeat(65)}), "maximum length 64"),
            (
                OPENAI,
                json!({"stream_options": {"include_usage": true}}),
                "only allowed when 'stream' is enabled",
            ),
            (GROQ, json!({"n": 2}), "at most 1"),
        ]);
    }

    #[test]
    fn effort_has_levels() {
        table(&[
            (OPENAI, json!({"model": "gpt-5", "reasoning_effort": "minimal"}), ""),
            (
                OPENAI,
                json!({"model": "gpt-5", "reasoning_effort": "none"}),
                "'minimal', 'low', 'medium', and 'high'.",
            ),
            (OPENAI, json!({"model": "gpt-5.6", "reasoning_effort": "max"}), ""),
            (OPENAI, json!({"model": "gpt-4o", "reasoning_effort": "low"}), "Unrecognized request argument"),
            ("/xai/v1", json!({"model": "grok-4", "reasoning_effort": "low"}), "not supported on this model"),
            ("/xai/v1", json!({"model": "grok-3-mini", "reasoning_effort": "low"}), ""),
            (
                "/deepseek",
                json!({"model": "deepseek-v4-flash", "reasoning_effort": "minimal"}),
                "does not support 'minimal'",
            ),
        ]);
    }

    #[test]
    fn a_key_is_wanted_in_its_own_header() {
        for (base, headers, status) in [
            (OPENAI, [("authorization", "Bearer k")], None),
            (OPENAI, [("authorization", "Bearer ")], Some(401)),
            (OPENAI, [("x-api-key", "k")], Some(401)),
            ("/xai/v1", [("x-api-key", "k")], Some(400)),
            (GEMINI, [("x-api-key", "k")], Some(400)),
            ("/ollama/v1", [("x-api-key", "k")], None),
        ] {
            let path = format!("{base}/chat/completions");
            let request = Request { method: "POST", path: &path, query: "", headers: &headers, body: b"" };
            let refused = key(&request, of_path(&path).unwrap().0, &Options::default()).err();
            assert_eq!(refused.map(|refusal| refusal.status), status, "{base} {headers:?}");
        }
    }

    #[test]
    fn a_model_that_nobody_serves_is_told_so() {
        table(&[
            (
                OPENAI,
                json!({"model": "unknown-1"}),
                "The model `unknown-1` does not exist or you do not have access",
            ),
            (MISTRAL, json!({"model": "unknown-1"}), "Invalid model: unknown-1"),
            (
                "/openrouter/api/v1",
                json!({"model": "openai/unknown-1"}),
                "openai/unknown-1 is not a valid model ID",
            ),
            ("/deepseek", json!({"model": "unknown-1"}), "Model Not Exist"),
            (OPENAI, json!({"model": ""}), "you must provide a model parameter"),
            (OPENAI, json!({"messages": []}), "empty array"),
            (OPENAI, json!({"messages": null}), "Missing required parameter: 'messages'."),
        ]);
    }

    #[test]
    fn thinking_is_switched_in_whatever_field() {
        for (model, wish, expected) in [
            ("gpt-5", json!({}), true),
            ("gpt-5.1", json!({}), false),
            ("gpt-5.1", json!({"reasoning_effort": "low"}), true),
            ("gpt-5.1", json!({"reasoning_effort": "none"}), false),
            ("deepseek-v4-flash", json!({}), true),
            ("deepseek-v4-flash", json!({"thinking": {"type": "disabled"}}), false),
            ("anthropic/claude-haiku-4.5", json!({"reasoning": {"max_tokens": 2000}}), true),
            ("anthropic/claude-haiku-4.5", json!({"reasoning": {"enabled": false}}), false),
            ("qwen3-8b", json!({"chat_template_kwargs": {"enable_thinking": false}}), false),
            ("gpt-4o", json!({"reasoning_effort": "high"}), false),
        ] {
            assert_eq!(thinks(&wish, models::find(model).unwrap()), expected, "{model} {wish}");
        }
    }
}
