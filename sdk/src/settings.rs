//! How a plugin reads what the operator set. Each world has a record of its own for it, with the same shape.

/// Gives a world's `settings` the three ways in which they are read.
macro_rules! lookup {
    ($settings:ty) => {
        impl $settings {
            /// A setting's value; none when it is not there or empty.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<&str> {
                let found = self.values.iter().find(|(known, _)| known == name);
                found
                    .map(|(_, value)| value.trim())
                    .filter(|value| !value.is_empty())
            }

            /// A setting's value that must be there.
            ///
            /// # Errors
            /// [`Error::Invalid`] naming the setting.
            pub fn need(&self, name: &str) -> Result<&str, Error> {
                self.get(name).ok_or_else(|| {
                    Error::invalid(name, alloc::format!("the setting `{name}` is missing"))
                })
            }

            /// The secret that a setting names, opened; none when the setting is not there.
            ///
            /// # Errors
            /// [`Error::Denied`] when the secret is not granted, [`Error::Invalid`] when there is none of that name.
            pub fn secret(
                &self,
                name: &str,
            ) -> Result<Option<$crate::shared::bindings::skep::plugin::secrets::Secret>, Error>
            {
                self.get(name)
                    .map($crate::shared::bindings::skep::plugin::secrets::Secret::open)
                    .transpose()
            }
        }
    };
}

pub(crate) use lookup;
