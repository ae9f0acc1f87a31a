//! Which name a misspelt word probably stands for.

/// The name that a word most probably stands for, if one is near enough: a slip of the finger or two away, or the only one
/// that begins with it.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let names: Vec<&str> = names.collect();
    let slip = names
        .iter()
        .map(|name| (strsim::osa_distance(word, name), *name))
        .filter(|(slips, name)| *slips <= 1 + name.chars().count() / 4)
        .min();
    slip.map(|(_, name)| name).or_else(|| only_beginning(word, &names))
}

fn only_beginning<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    /// What is shorter says little.
    const ENOUGH: usize = 3;
    let mut begun = names.iter().filter(|name| word.len() >= ENOUGH && name.starts_with(word));
    match (begun.next(), begun.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_a_beginning_leads_to_a_name() {
        let names = ["text-generation", "embeddings", "ollama", "olm"];
        let near = |word| nearest(word, names.into_iter());
        assert_eq!(near("text-generaton"), Some("text-generation"));
        assert_eq!(near("text-gen"), Some("text-generation"));
        assert_eq!(near("embed"), Some("embeddings"));
        assert_eq!(near("olma"), Some("olm"));
        assert_eq!(near("te"), None);
        assert_eq!(near("whisper"), None);
        assert_eq!(nearest("web", ["web-one", "web-two"].into_iter()), None);
    }
}
