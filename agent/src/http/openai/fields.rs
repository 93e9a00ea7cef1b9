//! Fields that JSON may give in more than one form, and lists that end.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::http::limits::{BIASES_MAX, PARTS_MAX, STOPS_MAX, TOKENS_MAX};

/// A list of at most `N`: a body of many small elements must not become many large ones.
#[derive(Debug)]
pub(super) struct Bounded<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
            type Value = Bounded<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {N}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    push(&mut items, item, N)?;
                }
                Ok(Bounded(items))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// An object and nothing else: the types that serde derives can be read from lists too.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// A message's content: text, or parts.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Object<Part>>),
}

/// A part of a message, as far as a text model cares.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Part {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.into()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    push(&mut parts, part, PARTS_MAX)?;
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// One stop text or several.
#[derive(Debug, Default)]
pub(super) struct Stops(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Stops {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Stops;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "text or a list of at most {STOPS_MAX} texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Stops, E> {
                Ok(Stops(vec![text.into()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Stops, A::Error> {
                let mut stops = Vec::new();
                while let Some(stop) = list.next_element::<String>()? {
                    push(&mut stops, stop, STOPS_MAX)?;
                }
                Ok(Stops(stops))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What is to be added to which tokens.
#[derive(Debug, Default)]
pub(super) struct Biases(pub(super) Vec<(u32, f32)>);

impl<'de> Deserialize<'de> for Biases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Biases;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "an object of at most {BIASES_MAX} token ids with a bias each"
                )
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Biases, A::Error> {
                let mut biases = Vec::new();
                while let Some((token, bias)) = map.next_entry::<Cow<'de, str>, f64>()? {
                    let token = token
                        .parse()
                        .map_err(|_| A::Error::custom("the names must be token ids"))?;
                    if !(-100.0..=100.0).contains(&bias) {
                        return Err(A::Error::custom("a bias must be from -100 to 100"));
                    }
                    push(&mut biases, (token, bias as f32), BIASES_MAX)?;
                }
                Ok(Biases(biases))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// What `prompt` and `input` may be: text, texts, token ids, or lists of token ids.
#[derive(Debug, PartialEq)]
pub(super) enum Inputs {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Inputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a list of texts, a list of token ids, or a list of such lists")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Inputs, E> {
                Ok(Inputs::Text(text.into()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Inputs, E> {
                Ok(Inputs::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inputs, A::Error> {
                // The first element tells which kind of list it is.
                match list.next_element::<Element>()? {
                    None => Ok(Inputs::Texts(Vec::new())),
                    Some(Element::Text(text)) => rest(list, text, MANY).map(Inputs::Texts),
                    Some(Element::Token(token)) => {
                        rest(list, token, TOKENS_MAX).map(Inputs::Tokens)
                    }
                    Some(Element::Tokens(tokens)) => {
                        let mut total = tokens.len();
                        let mut lists = vec![tokens];
                        while let Some(Bounded(tokens)) =
                            list.next_element::<Bounded<u32, TOKENS_MAX>>()?
                        {
                            total += tokens.len();
                            if total > TOKENS_MAX {
                                return Err(too_many(TOKENS_MAX));
                            }
                            push(&mut lists, tokens, MANY)?;
                        }
                        Ok(Inputs::TokenLists(lists))
                    }
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The first element of a list of inputs.
enum Element {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a token id, or a list of token ids")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Element, E> {
                Ok(Element::Text(text.into()))
            }

            fn visit_u64<E: Error>(self, token: u64) -> Result<Element, E> {
                u32::try_from(token)
                    .map(Element::Token)
                    .map_err(|_| E::custom("a token id is larger than any vocabulary"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = list.next_element::<u32>()? {
                    push(&mut tokens, token, TOKENS_MAX)?;
                }
                Ok(Element::Tokens(tokens))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    mut list: A,
    first: T,
    limit: usize,
) -> Result<Vec<T>, A::Error> {
    let mut items = vec![first];
    while let Some(item) = list.next_element()? {
        push(&mut items, item, limit)?;
    }
    Ok(items)
}

fn push<T, E: Error>(items: &mut Vec<T>, item: T, limit: usize) -> Result<(), E> {
    if items.len() >= limit {
        return Err(too_many(limit));
    }
    items.push(item);
    Ok(())
}

fn too_many<E: Error>(limit: usize) -> E {
    E::custom(format_args!("more than {limit} elements"))
}

/// No endpoint takes more inputs than this; each has a bound of its own below it.
const MANY: usize = crate::http::limits::INPUTS_MAX;
