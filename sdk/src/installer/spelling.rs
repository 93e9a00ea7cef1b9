//! How what people answer is spelt, where the host is as strict.

/// Whether it is an absolute path that says where it leads: without `.`, `..`, doubled slashes and control characters.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() < 256;
    let parts = text.strip_prefix('/');
    text.len() < 4096
        && parts.is_some_and(|parts| parts.split('/').all(part))
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_where_they_lead() {
        assert!(is_path("/srv/skep") && is_path("/a b/ü.d/...") && is_path("/x"));
        for text in [
            "", "/", "a", "./a", "/a/../b", "/a/./b", "/a//b", "/a/", "/a\n", "~/a",
        ] {
            assert!(!is_path(text), "{text:?}");
        }
        assert!(!is_path(&format!("/{}", "a".repeat(256))));
    }
}
