//! How each provider words its refusals: status, type, code and message by what is wrong.
//!
//! `OpenAI`'s words are complete; a flavour lists those that it has itself, from recorded errors or from public reports.
//! `{…}` in a text is filled in. Decides nothing about requests, and shapes no body ([`super::refusal`] does).

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No key.
    Key,
    /// A body that is no JSON object.
    Body,
    /// A model that is not served: `{model}`.
    Model,
    /// A field that is not known or not taken: `{field}`; in a message also `{index}`, `{role}` and `{name}`.
    Field,
    /// More input than the window holds: `{context}`, `{input}`, `{output}`, `{total}`, `{over}`.
    Window,
    /// `{field}` above what the model gives: `{limit}`, `{given}`, `{model}`.
    Limit,
    /// A call without a result: `{ids}`.
    Unanswered,
    /// A result without a call.
    Orphan,
    /// An id of a call that does not fit: `{id}`, `{length}`.
    Id,
    /// `tools` where none are taken.
    Tools,
    /// An image where none is taken: `{index}`, `{kind}`.
    Image,
    /// A message out of order: `{role}`.
    Order,
    /// `reasoning_effort` that is not taken: `{effort}`, `{levels}`.
    Effort,
    /// A format that is not taken.
    Format,
    /// `stream_options` without a stream.
    StreamOptions,
    /// `tools` without an element.
    NoTools,
    /// A setting that the model does not take: `{field}`.
    Setting,
}

/// One refusal in one provider's words.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// For what it is said.
    pub wrong: Wrong,
    /// The HTTP status.
    pub status: u16,
    /// `type`, or Google's `status`.
    pub kind: &'static str,
    /// `code`; empty for null.
    pub code: &'static str,
    /// The message.
    pub text: &'static str,
}

const fn word(wrong: Wrong, status: u16, kind: &'static str, code: &'static str, text: &'static str) -> Word {
    Word { wrong, status, kind, code, text }
}

const INVALID: &str = "invalid_request_error";
const ARGUMENT: &str = "INVALID_ARGUMENT";

/// The words for `wrong`: the flavour's own, else `OpenAI`'s.
pub fn find(own: &'static [Word], wrong: Wrong) -> &'static Word {
    let fits = |word: &&Word| word.wrong == wrong;
    own.iter().find(fits).or_else(|| OPENAI.iter().find(fits)).unwrap_or(&OPENAI[0])
}

const OPENAI: &[Word] = &[
    word(
        Wrong::Body,
        400,
        INVALID,
        "",
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library \
         correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
    ),
    word(
        Wrong::Key,
        401,
        INVALID,
        "invalid_api_key",
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
         (i.e. Authorization: Bearer YOUR_KEY).",
    ),
    word(
        Wrong::Model,
        404,
        INVALID,
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    word(Wrong::Field, 400, INVALID, "unknown_parameter", "Unknown parameter: '{field}'."),
    word(
        Wrong::Window,
        400,
        INVALID,
        "context_length_exceeded",
        "This model's maximum context length is {context} tokens. However, your messages resulted in {input} tokens. \
         Please reduce the length of the messages.",
    ),
    word(
        Wrong::Limit,
        400,
        INVALID,
        "invalid_value",
        "{field} is too large: {given}. This model supports at most {limit} completion tokens, whereas you provided \
         {given}.",
    ),
    word(
        Wrong::Unanswered,
        400,
        INVALID,
        "",
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
         following tool_call_ids did not have response messages: {ids}",
    ),
    word(
        Wrong::Orphan,
        400,
        INVALID,
        "",
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
    ),
    word(
        Wrong::Id,
        400,
        INVALID,
        "string_above_max_length",
        "Invalid '{field}': string too long. Expected a string with maximum length 40, but got a string with length \
         {length} instead.",
    ),
    word(Wrong::Tools, 400, INVALID, "", "Tool calling is not supported for this model."),
    word(
        Wrong::Image,
        400,
        INVALID,
        "invalid_value",
        "Invalid '{field}'. Image URLs are only allowed for messages with role 'user', but this message with role \
         '{role}' contains an image URL.",
    ),
    word(Wrong::Order, 400, INVALID, "", "Last message must have role `user`, not `{role}`."),
    word(
        Wrong::Effort,
        400,
        INVALID,
        "unsupported_value",
        "Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. Supported values are: \
         {levels}.",
    ),
    word(
        Wrong::Format,
        400,
        INVALID,
        "",
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ),
    word(
        Wrong::StreamOptions,
        400,
        INVALID,
        "",
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    word(
        Wrong::NoTools,
        400,
        INVALID,
        "empty_array",
        "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    word(
        Wrong::Setting,
        400,
        INVALID,
        "unsupported_parameter",
        "Unsupported parameter: '{field}' is not supported with this model.",
    ),
];

/// `OpenRouter`'s.
pub const OPENROUTER: &[Word] = &[
    word(Wrong::Key, 401, "", "", "Missing Authentication header"),
    word(Wrong::Model, 400, "", "", "{model} is not a valid model ID"),
    word(
        Wrong::Window,
        400,
        "",
        "",
        "This endpoint's maximum context length is {context} tokens. However, you requested about {total} tokens \
         ({input} of text input, {output} in the output). Please reduce the length of either one, or use the \
         \"middle-out\" transform to compress your prompt automatically.",
    ),
];

/// Groq's.
pub const GROQ: &[Word] = &[
    word(Wrong::Key, 401, INVALID, "invalid_api_key", "Invalid API Key"),
    word(Wrong::Field, 400, INVALID, "", "property '{field}' is unsupported"),
    word(
        Wrong::Window,
        400,
        INVALID,
        "context_length_exceeded",
        "Please reduce the length of the messages or completion.",
    ),
    word(
        Wrong::Limit,
        400,
        INVALID,
        "",
        "`{field}` must be less than or equal to `{limit}`, the maximum value for `{field}` is less than the \
         `context_window` for this model",
    ),
    word(Wrong::Effort, 400, INVALID, "", "`reasoning_effort` must be one of {levels}"),
];

/// Mistral's.
pub const MISTRAL: &[Word] = &[
    word(Wrong::Key, 401, "", "", "Invalid API Key"),
    word(Wrong::Model, 400, "invalid_model", "1500", "Invalid model: {model}"),
    word(Wrong::Field, 422, INVALID, "", "Extra inputs are not permitted"),
    word(
        Wrong::Window,
        400,
        "invalid_request_prompt",
        "3051",
        "Prompt contains {input} tokens and 0 draft tokens, too large for model with {context} maximum context length",
    ),
    word(
        Wrong::Unanswered,
        400,
        "invalid_request_message_order",
        "3230",
        "Not the same number of function calls and responses",
    ),
    word(
        Wrong::Orphan,
        400,
        "invalid_request_message_order",
        "3230",
        "Unexpected role 'tool' after role '{role}'",
    ),
    word(
        Wrong::Id,
        400,
        "invalid_function_call",
        "3280",
        "Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.",
    ),
    word(
        Wrong::Order,
        400,
        "invalid_request_message_order",
        "3230",
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got {role}",
    ),
];

/// `DeepSeek`'s.
pub const DEEPSEEK: &[Word] = &[
    word(
        Wrong::Key,
        401,
        "authentication_error",
        INVALID,
        "Authentication Fails (auth header format should be Bearer sk-...)",
    ),
    word(Wrong::Model, 400, INVALID, INVALID, "Model Not Exist"),
    word(
        Wrong::Window,
        400,
        INVALID,
        INVALID,
        "This model's maximum context length is {context} tokens. However, you requested {total} tokens ({input} in the \
         messages, {output} in the completion). Please reduce the length of the messages or completion.",
    ),
    word(
        Wrong::Limit,
        400,
        INVALID,
        INVALID,
        "Invalid {field} value, the valid range of {field} is [1, {limit}]",
    ),
    word(
        Wrong::Unanswered,
        400,
        INVALID,
        INVALID,
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         (insufficient tool messages following tool_calls message)",
    ),
    word(
        Wrong::Orphan,
        400,
        INVALID,
        INVALID,
        "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
    ),
    word(
        Wrong::Image,
        400,
        INVALID,
        INVALID,
        "Failed to deserialize the JSON body into the target type: messages[{index}]: unknown variant `{kind}`, expected \
         `text` at line 1 column 391",
    ),
    word(Wrong::Format, 400, INVALID, INVALID, "This response_format type is unavailable now"),
    word(
        Wrong::StreamOptions,
        400,
        INVALID,
        INVALID,
        "stream_options should be set along with stream = true",
    ),
];

/// xAI's.
pub const XAI: &[Word] = &[
    word(
        Wrong::Key,
        400,
        INVALID,
        "invalid-argument",
        "Incorrect API key provided. You can obtain an API key from https://console.x.ai.",
    ),
    word(Wrong::Model, 400, INVALID, "invalid-argument", "Model not found: {model}"),
    word(
        Wrong::Window,
        400,
        INVALID,
        "invalid-argument",
        "This model's maximum prompt length is {context} but the request contains {input} tokens.",
    ),
    word(Wrong::Setting, 400, INVALID, "invalid-argument", "Argument not supported on this model: {field}"),
];

/// Together's.
pub const TOGETHER: &[Word] = &[
    word(
        Wrong::Model,
        404,
        INVALID,
        "model_not_available",
        "Unable to access model {model}. Please visit https://api.together.ai/models to view the list of supported models.",
    ),
    word(
        Wrong::Window,
        422,
        INVALID,
        "",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= {context}. Given: {input} `inputs` tokens \
         and {output} `max_new_tokens`",
    ),
];

/// Fireworks'.
pub const FIREWORKS: &[Word] = &[
    word(Wrong::Model, 404, "error", "NOT_FOUND", "Model not found, inaccessible, and/or not deployed"),
    word(
        Wrong::Window,
        400,
        INVALID,
        "",
        "The prompt is too long: {input}, model maximum context length: {context}",
    ),
];

/// Cerebras'.
pub const CEREBRAS: &[Word] = &[
    word(Wrong::Key, 401, INVALID, "wrong_api_key", "Wrong API Key"),
    word(
        Wrong::Model,
        404,
        "not_found_error",
        "model_not_found",
        "Model {model} does not exist or you do not have access to it.",
    ),
    word(Wrong::Field, 400, INVALID, "wrong_api_format", "{field}: property '{field}' is unsupported"),
    word(
        Wrong::Window,
        400,
        INVALID,
        "context_length_exceeded",
        "Please reduce the length of the messages or completion. Current length is {input} while limit is {context}",
    ),
];

/// Perplexity's.
pub const PERPLEXITY: &[Word] = &[
    word(
        Wrong::Key,
        401,
        "invalid_api_key",
        "",
        "Invalid API key provided. Ensure your API key is correct and active.",
    ),
    word(Wrong::Model, 400, "invalid_model", "", "Invalid model '{model}'."),
    word(Wrong::Window, 400, "too_many_prompt_tokens", "", "The total length of all messages is too long."),
    word(Wrong::Tools, 400, "bad_request", "", "Tool calling is not supported for this model."),
    word(
        Wrong::Order,
        400,
        "invalid_message",
        "",
        "After the (optional) system message(s), user or tool message(s) should alternate with assistant message(s).",
    ),
];

/// z.ai's.
pub const ZAI: &[Word] = &[
    word(Wrong::Key, 401, "", "1001", "Header is missing the Authorization parameter."),
    word(Wrong::Model, 400, "", "1211", "Unknown Model, please check the model code."),
    word(Wrong::Window, 400, "", "1261", "Prompt exceeds max length"),
];

/// Moonshot's.
pub const MOONSHOT: &[Word] = &[
    word(Wrong::Key, 401, "invalid_authentication_error", "", "Invalid Authentication"),
    word(
        Wrong::Model,
        404,
        "resource_not_found_error",
        "",
        "Not found the model {model} or Permission denied",
    ),
    word(
        Wrong::Window,
        400,
        INVALID,
        "",
        "Invalid request: Your request exceeded model token limit: {context}",
    ),
];

/// Google's, over its compatible endpoint.
pub const GEMINI: &[Word] = &[
    word(Wrong::Key, 400, ARGUMENT, "", "API key not valid. Please pass a valid API key."),
    word(
        Wrong::Model,
        404,
        "NOT_FOUND",
        "",
        "models/{model} is not found for API version v1main, or is not supported for generateContent. Call \
         ModelService.ListModels to see the list of available models and their supported methods.",
    ),
    word(
        Wrong::Field,
        400,
        ARGUMENT,
        "",
        "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.",
    ),
    word(
        Wrong::Window,
        400,
        ARGUMENT,
        "",
        "The input token count ({input}) exceeds the maximum number of tokens allowed ({context}).",
    ),
    word(
        Wrong::Limit,
        400,
        ARGUMENT,
        "",
        "Unable to submit request because it has a maxOutputTokens value of {given} but the supported range is from 1 \
         (inclusive) to {limit} (inclusive). Update the value and try again.",
    ),
    word(
        Wrong::Unanswered,
        400,
        ARGUMENT,
        "",
        "Please ensure that the number of function response parts is equal to the number of function call parts of the \
         function call turn.",
    ),
    word(
        Wrong::Orphan,
        400,
        ARGUMENT,
        "",
        "Please ensure that function response turn comes immediately after a function call turn.",
    ),
];

/// Ollama's.
pub const OLLAMA: &[Word] = &[
    word(Wrong::Model, 404, "not_found_error", "", "model '{model}' not found"),
    word(Wrong::Window, 400, INVALID, "", "prompt too long; exceeded max context length by {over} tokens"),
];

/// vLLM's.
pub const VLLM: &[Word] = &[
    word(Wrong::Model, 404, "NotFoundError", "", "The model `{model}` does not exist."),
    word(
        Wrong::Window,
        400,
        "BadRequestError",
        "",
        "This model's maximum context length is {context} tokens. However, you requested {total} tokens ({input} in the \
         messages, {output} in the completion). Please reduce the length of the messages or completion.",
    ),
    word(
        Wrong::StreamOptions,
        400,
        "BadRequestError",
        "",
        "Stream options can only be defined when `stream=True`.",
    ),
];

/// llama.cpp's.
pub const LLAMACPP: &[Word] = &[
    word(Wrong::Key, 401, "authentication_error", "", "Invalid API Key"),
    word(
        Wrong::Window,
        400,
        "exceed_context_size_error",
        "",
        "the request exceeds the available context size ({context} tokens), try increasing it",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_words_of_its_own_says_openais() {
        assert_eq!(find(GROQ, Wrong::Key).text, "Invalid API Key");
        assert_eq!(find(GROQ, Wrong::Model).code, "model_not_found");
        for word in OPENAI {
            assert_eq!(find(&[], word.wrong).text, word.text);
        }
    }
}
