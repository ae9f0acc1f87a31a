//! The layout of a cache of Hugging Face: `models--ORG--NAME` with `blobs`, `refs` and `snapshots/COMMIT`, whose files are links
//! to blobs (huggingface_hub, "Understand caching").

use std::collections::{BTreeMap, BTreeSet};

use towline_core::time::Timestamp;

use crate::staged::{Model, Partial, Revision};
use crate::weights;

/// What begins the name of a model's directory.
pub(crate) const PREFIX: &str = "models--";
/// What ends the name of a download that is not finished.
pub(crate) const INCOMPLETE: &str = ".incomplete";
/// The directory of the model in which a file of a commit's name notes that all of it was downloaded and verified.
pub(crate) const NOTES: &str = ".towline";

/// One file, directory or link below a model's directory.
pub(crate) struct Entry {
    /// What it is, by `find`'s letter.
    pub(crate) kind: u8,
    /// What it leads to: `N` if to nothing, `L` if to itself.
    pub(crate) end: u8,
    /// Its size; of a link that of its text.
    pub(crate) bytes: u64,
    /// When it was changed.
    pub(crate) modified: Timestamp,
    /// Where it is, from the cache on.
    pub(crate) path: Vec<u8>,
    /// Where a link leads.
    pub(crate) link: Vec<u8>,
}

/// What one model's directory holds.
#[derive(Default)]
struct Found<'a> {
    blobs: BTreeMap<&'a str, u64>,
    partial: Vec<u64>,
    refs: Vec<(&'a str, &'a str)>,
    /// Commits of which all files were downloaded and verified, by our note.
    noted: BTreeSet<&'a str>,
    snapshots: BTreeMap<&'a str, Timestamp>,
    /// Files of snapshots: commit, path below the snapshot, entry.
    files: Vec<(&'a str, Vec<&'a str>, &'a Entry)>,
}

/// The models of a cache, from what `find` lists in it and what its refs say.
pub(crate) fn models(
    hub: &str,
    entries: &[Entry],
    refs: &[(Vec<u8>, String)],
    warnings: &mut Vec<String>,
) -> Vec<Model> {
    let mut found: BTreeMap<&str, Found<'_>> = BTreeMap::new();
    let mut odd = 0;
    for entry in entries {
        let Ok(path) = std::str::from_utf8(&entry.path) else {
            odd += 1;
            continue;
        };
        let parts: Vec<&str> = path.split('/').collect();
        let [model, rest @ ..] = parts.as_slice() else { continue };
        let model = found.entry(model).or_default();
        match rest {
            ["blobs", name] if entry.kind == b'f' => match name.ends_with(INCOMPLETE) {
                true => model.partial.push(entry.bytes),
                false => _ = model.blobs.insert(name, entry.bytes),
            },
            [NOTES, commit] if entry.kind == b'f' => _ = model.noted.insert(commit),
            ["snapshots", commit] if entry.kind == b'd' => _ = model.snapshots.insert(commit, entry.modified),
            ["snapshots", commit, file @ ..] if entry.kind != b'd' && !file.is_empty() => {
                model.files.push((commit, file.to_vec(), entry));
            }
            _ => {}
        }
    }
    for (path, commit) in refs {
        let Some((model, name)) = std::str::from_utf8(path).ok().and_then(|path| path.split_once("/refs/"))
        else {
            odd += 1;
            continue;
        };
        found.entry(model).or_default().refs.push((name, commit.trim()));
    }
    if odd > 0 {
        warnings.push(format!("{odd} names in {hub} are no UTF-8, and are left out"));
    }
    found.into_iter().map(|(directory, found)| found.model(hub, directory)).collect()
}

/// A sum that whatever is told makes no panic of.
pub(crate) fn total(bytes: impl IntoIterator<Item = u64>) -> u64 {
    bytes.into_iter().fold(0, u64::saturating_add)
}

impl Found<'_> {
    fn model(self, hub: &str, directory: &str) -> Model {
        let mut revisions: Vec<Revision> =
            self.snapshots.iter().map(|(commit, at)| self.revision(hub, directory, commit, *at)).collect();
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.modified));
        // What is not finished may belong to the newest one; nothing says to which it does.
        if let Some(newest) = revisions.first_mut() {
            newest.whole &= self.partial.is_empty() || self.noted.contains(newest.commit.as_str());
        }
        let loose = self.files.iter().filter(|(.., entry)| entry.kind == b'f').map(|(.., entry)| entry.bytes);
        let bytes = total(self.blobs.values().copied().chain(loose));
        let partial = Partial { files: self.partial.len(), bytes: total(self.partial.iter().copied()) };
        Model {
            name: directory.strip_prefix(PREFIX).unwrap_or(directory).replace("--", "/"),
            hub: hub.to_owned(),
            path: format!("{hub}/{directory}"),
            bytes,
            revisions,
            partial: (partial.files > 0).then_some(partial),
            blobs: self.blobs.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect(),
        }
    }

    fn revision(&self, hub: &str, directory: &str, commit: &str, directory_at: Timestamp) -> Revision {
        let (mut missing, mut loose, mut modified) = (0, 0, directory_at);
        let mut blobs = BTreeSet::new();
        let files: Vec<_> = self.files.iter().filter(|(of, ..)| *of == commit).collect();
        for (_, path, entry) in &files {
            modified = modified.max(entry.modified);
            if entry.kind != b'l' {
                loose = total([loose, entry.bytes]);
                continue;
            }
            match self.blob(hub, directory, path.len(), &entry.link) {
                Some(name) => _ = blobs.insert(name.to_owned()),
                None if matches!(entry.end, b'f' | b'd') => {}
                None => missing += 1,
            }
        }
        let linked = blobs.iter().filter_map(|name| self.blobs.get(name.as_str())).copied();
        let bytes = total(linked.chain([loose]));
        let paths: Vec<String> = files.iter().map(|(_, path, _)| path.join("/")).collect();
        let is_model = self.noted.contains(commit) || weights::are_there(paths.iter().map(String::as_str));
        let names = self.refs.iter().filter(|(_, of)| *of == commit).map(|(name, _)| (*name).to_owned());
        Revision {
            commit: commit.to_owned(),
            refs: names.collect(),
            path: format!("{hub}/{directory}/snapshots/{commit}"),
            files: files.len(),
            bytes,
            missing,
            whole: !files.is_empty() && missing == 0 && is_model,
            modified,
            blobs: blobs.into_iter().collect(),
        }
    }

    /// The blob to which a link leads that lies `depth` names below a snapshot.
    fn blob(&self, hub: &str, directory: &str, depth: usize, link: &[u8]) -> Option<&str> {
        let link = std::str::from_utf8(link).ok()?;
        let name = match link.strip_prefix(&format!("{hub}/{directory}/")) {
            Some(inside) => inside.strip_prefix("blobs/")?,
            None => link.strip_prefix(&"../".repeat(depth + 1))?.strip_prefix("blobs/")?,
        };
        self.blobs.get_key_value(name).map(|(name, _)| *name)
    }
}
