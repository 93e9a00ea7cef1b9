//! Lists that may claim many elements and bring next to nothing for each: an empty text is one byte on the
//! wire and a hundred in memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::limits::LIST_ELEMENTS_MAX;

/// Reads a list that has at most [`LIST_ELEMENTS_MAX`] elements.
pub(super) fn few<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Few(PhantomData))
}

struct Few<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LIST_ELEMENTS_MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() >= LIST_ELEMENTS_MAX {
                return Err(Error::invalid_length(list.len(), &self));
            }
            list.push(element);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Message, Prompt};
    use super::*;

    #[test]
    fn a_list_has_as_many_elements_as_it_may_and_no_more() {
        let nothing = Message {
            role: String::new(),
            content: String::new(),
            name: None,
        };
        let read = |count: usize| {
            let prompt = Prompt::Chat(vec![nothing.clone(); count]);
            postcard::from_bytes::<Prompt>(&postcard::to_stdvec(&prompt).unwrap())
        };
        assert!(read(LIST_ELEMENTS_MAX).is_ok());
        assert!(read(LIST_ELEMENTS_MAX + 1).is_err());
    }
}
