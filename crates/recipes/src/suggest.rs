//! Which name a misspelt word probably stands for.

/// The name that a word most probably stands for, if one is near enough: a slip of the finger or two away.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::osa_distance(word, name), name))
        .filter(|(slips, name)| *slips <= 1 + name.chars().count() / 4)
        .min()
        .map(|(_, name)| name)
}
