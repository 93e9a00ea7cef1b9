//! What a plugin is allowed to reach, and what it asks for: what is read is written so that it is read as the same, and no
//! pattern covers a host that it does not name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep_core::capability::{Capability, Host};

fuzz_target!(|pair: (&str, &str)| {
    let (granted, asked) = pair;
    if let Ok(capability) = granted.parse::<Capability>() {
        let again = capability.to_string().parse::<Capability>();
        assert_eq!(again.ok().as_ref(), Some(&capability));
        assert!(!capability.in_words().is_empty());
    }
    let (Ok(granted), Ok(asked)) = (granted.parse::<Host>(), asked.parse::<Host>()) else {
        return;
    };
    let (pattern, name) = (granted.to_string(), asked.to_string());
    assert_eq!(pattern.parse::<Host>().ok().as_ref(), Some(&granted));
    assert!(granted.covers(&granted) || pattern.starts_with('*'));
    if granted.covers(&asked) && pattern != name {
        // The rule in other words: `*.example.org` is everything that ends with `.example.org`.
        let ending = pattern
            .strip_prefix('*')
            .expect("only a star covers another name");
        assert!(
            name.ends_with(ending) && name.len() > ending.len(),
            "{pattern} {name}"
        );
    }
});
