//! The recipes that come with this crate. Each says in comments where its options were read.

/// A recipe that comes with this crate.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The recipes that come with this crate, by name.
pub const BUILT_IN: [BuiltIn; 5] = [
    BuiltIn { name: "embeddings", text: include_str!("../recipes/embeddings.toml") },
    BuiltIn { name: "ollama", text: include_str!("../recipes/ollama.toml") },
    BuiltIn { name: "sglang", text: include_str!("../recipes/sglang.toml") },
    BuiltIn { name: "speech-recognition", text: include_str!("../recipes/speech-recognition.toml") },
    BuiltIn { name: "text-generation", text: include_str!("../recipes/text-generation.toml") },
];

/// A small recipe that runs anywhere with Python, with comments on every part: what a recipe of one's own begins as.
pub const EXAMPLE: &str = include_str!("../examples/hello.toml");
