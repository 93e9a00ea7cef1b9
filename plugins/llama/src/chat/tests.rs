//! Templates in the manner of published ones, against what Jinja makes of them with Hugging Face's settings; and
//! messages that would like to be more than messages.

use super::*;
use crate::batch::byte_tokenizer;
use crate::gguf::{Metadata, Value as Meta};

fn message(role: &str, content: &str) -> Message {
    Message {
        role: role.to_owned(),
        content: content.to_owned(),
        name: None,
    }
}

fn conversation() -> Vec<Message> {
    vec![
        message("system", " Be brief. "),
        message("user", "Hi <there> & \"you\" 日本\n"),
        message("assistant", "<think>hm</think>\n\nHello"),
        message("user", "  bye"),
    ]
}

fn chat(template: Option<&str>, tokenizer: &Tokenizer) -> Chat {
    let metadata: Metadata = template
        .map(|text| {
            (
                "tokenizer.chat_template".to_owned(),
                Meta::String(text.to_owned()),
            )
        })
        .into_iter()
        .collect();
    let gguf = Gguf {
        version: 3,
        alignment: 32,
        data_offset: 0,
        metadata,
        tensors: std::collections::BTreeMap::new(),
    };
    let mut chat = Chat::new(&gguf, tokenizer).unwrap();
    (chat.bos, chat.eos) = (Some("<s>".to_owned()), Some("</s>".to_owned()));
    chat
}

fn check(template: &str, messages: &[Message], expected: &str) {
    let tokenizer = byte_tokenizer();
    let found = chat(Some(template), &tokenizer).format(&tokenizer, messages);
    assert_eq!(found.unwrap().text, expected);
}

fn refused(template: &str, messages: &[Message]) -> String {
    let tokenizer = byte_tokenizer();
    match chat(Some(template), &tokenizer).format(&tokenizer, messages) {
        Err(Error::Invalid(invalid)) => format!("{}: {}", invalid.field.unwrap(), invalid.message),
        Err(Error::Unsupported(message) | Error::Malformed(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// Expected texts come from Jinja 3.1 with `trim_blocks`, `lstrip_blocks`, loop controls, and `tojson` as
/// `transformers` defines it.
#[test]
fn same_as_jinja() {
    check(
        TURNS,
        &conversation(),
        "<|turn|>system\nBe brief.<|end|>\n<|turn|>user\nHi <there> & \"you\" 日本<|end|>\n<|turn|>assistant\n<think>hm</think>\n\nHello<|end|>\n<|turn|>user\nbye<|end|>\n<|turn|>assistant\n",
    );
    check(
        TURNS,
        &conversation()[1..2],
        "<|turn|>user\nHi <there> & \"you\" 日本<|end|>\n<|turn|>assistant\n",
    );
    check(
        SYSTEM_APART,
        &conversation(),
        "<s>[IN] <<Be brief.>>\nHi <there> & \"you\" 日本 [OUT]\n <think>hm</think>\n\nHello </s>\n[IN] bye [OUT]\n",
    );
    check(
        SYSTEM_APART,
        &conversation()[1..2],
        "<s>[IN] Hi <there> & \"you\" 日本 [OUT]\n",
    );
    check(
        MACROS,
        &conversation(),
        "2:USER=\"Hi <there> & \\\"you\\\" 日本\\n\"3:ASSISTANT=\"<think>hm</think>\\n\\nHello\"4:USER=\"  bye\"last=3 tools=None date=False",
    );
    check(
        MACROS,
        &conversation()[1..2],
        "1:USER=\"Hi <there> & \\\"you\\\" 日本\\n\"last=0 tools=None date=False",
    );
    check(
        SPLIT,
        &conversation(),
        " Be brief. |Hi <there> & \"you\" 日本\n|Hello|  bye2system,user,assistant,user",
    );
    check(
        SPLIT,
        &conversation()[1..2],
        "Hi <there> & \"you\" 日本\n1user",
    );
    check(
        DUMP,
        &conversation(),
        "  {\n  \"role\": \"system\",\n  \"content\": \" Be brief. \"\n}\n  {\n  \"role\": \"user\",\n  \"content\": \"Hi <there> & \\\"you\\\" 日本\\n\"\n}\n  {\n  \"role\": \"assistant\",\n  \"content\": \"<think>hm</think>\\n\\nHello\"\n}\n  {\n  \"role\": \"user\",\n  \"content\": \"  bye\"\n}\nend",
    );
    check(
        DUMP,
        &conversation()[1..2],
        "  {\n  \"role\": \"user\",\n  \"content\": \"Hi <there> & \\\"you\\\" 日本\\n\"\n}\nend",
    );
}

#[test]
fn templates_may_refuse() {
    let messages = [message("user", "a"), message("user", "b")];
    assert_eq!(
        refused(SYSTEM_APART, &messages),
        "messages: the model's chat template refuses: turns must alternate"
    );
    assert_eq!(refused(TURNS, &[]), "messages: is empty");
}

#[test]
fn hostile_templates_end() {
    let messages = [message("user", "a")];
    let has = |template: &str, part: &str| {
        let found = refused(template, &messages);
        assert!(found.contains(part), "{found}");
    };
    has(
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "does not come to an end",
    );
    has("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "failed");
    has(
        "{% set x = 'abcdefgh' * 100000 %}{% for a in range(9999) %}{{ x }}{% endfor %}",
        "writes too much",
    );
    has("{{ messages[0].content.nonsense() }}", "failed");
    has("{% for %}", "cannot be used");
    has("{{ strftime_now('%Y') }}", "failed");
}

/// The ids of the control token that ends a text.
const END: u32 = 256;

#[test]
fn messages_are_never_control_tokens() {
    let tokenizer = byte_tokenizer();
    let joined = "{% for m in messages %}{{ m.content }}{% endfor %}<|end|>";
    let ids = |contents: &[&str]| {
        let messages: Vec<Message> = contents.iter().map(|text| message("user", text)).collect();
        let formatted = chat(Some(joined), &tokenizer)
            .format(&tokenizer, &messages)
            .unwrap();
        assert_eq!(formatted.text, contents.concat() + "<|end|>");
        formatted.tokens
    };
    let bytes = |text: &str| -> Vec<u32> { text.bytes().map(u32::from).chain([END]).collect() };
    assert_eq!(ids(&["hello"]), bytes("hello"));
    assert_eq!(ids(&["a<|end|>b"]), bytes("a<|end|>b"));
    assert_eq!(ids(&["a<|e", "nd|>b"]), bytes("a<|end|>b"));
    assert_eq!(ids(&["<", "|end|", ">"]), bytes("<|end|>"));
    assert_eq!(ids(&["<|<|end|>end|>"]), bytes("<|<|end|>end|>"));
    // A mark that is in use already is not taken.
    assert_eq!(ids(&["\u{E000}<|end|>"]), bytes("\u{E000}<|end|>"));
}

#[test]
fn roles_may_be_part_of_control_tokens() {
    let tokenizer = byte_tokenizer();
    let template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}";
    let chat = chat(Some(template), &tokenizer);
    let formatted = chat.format(&tokenizer, &[message("end", "x")]).unwrap();
    assert_eq!(formatted.tokens, [END, u32::from(b'x')]);
}

#[test]
fn without_a_template() {
    let tokenizer = byte_tokenizer();
    let formatted = chat(None, &tokenizer)
        .format(&tokenizer, &conversation()[1..3])
        .unwrap();
    assert_eq!(
        formatted.text,
        "user: Hi <there> & \"you\" 日本\n\nassistant: <think>hm</think>\n\nHello\nassistant:"
    );
}

const TURNS: &str = r#"{%- for message in messages %}
    {{- '<|turn|>' + message['role'] + '\n' + message['content'] | trim + '<|end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|turn|>assistant\n' }}
{%- endif %}
"#;

const SYSTEM_APART: &str = r#"{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{% set loop_messages = messages[1:] %}
{% set system_message = '<<' + messages[0]['content'] | trim + '>>\n' %}
{% else %}
{% set loop_messages = messages %}
{% set system_message = '' %}
{% endif %}
{% for message in loop_messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('turns must alternate') }}
{% endif %}
{% if loop.index0 == 0 %}
{% set content = system_message + message['content'] %}
{% else %}
{% set content = message['content'] %}
{% endif %}
{% if message['role'] == 'user' %}
{{ '[IN] ' + content.strip() + ' [OUT]' }}
{% elif message['role'] == 'assistant' %}
{{ ' ' + content + ' ' + eos_token }}
{% endif %}
{% endfor %}
"#;

const MACROS: &str = r#"{%- macro line(m, n=0) -%}
{{ n }}:{{ m.role|upper }}={{ m.content|tojson }}
{%- endmacro -%}
{%- set ns = namespace(found=false, last=-1) -%}
{%- for m in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if not ns.found and m.role == "user" and m.content is string and not(m.content.startswith('<r>') and m.content.endswith('</r>')) %}
        {%- set ns.found = true %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
{%- if m.role == 'system' %}{% continue %}{% endif %}
{{ line(m, loop.index) }}
{%- endfor %}
last={{ ns.last }} tools={{ tools is defined and tools }} date={{ strftime_now is defined }}
{%- if tools is not none %} has tools{% endif %}
"#;

const SPLIT: &str = r#"{% for m in messages %}{% if m.role == 'assistant' and '</think>' in m.content %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ m['content'] }}{% endif %}{% if not loop.last %}|{% endif %}{% endfor %}{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|map(attribute='role')|join(',') }}
"#;

const DUMP: &str = r#"{% for m in messages %}
  {{ m | tojson(indent=2) }}
    {% endfor %}
end
"#;
