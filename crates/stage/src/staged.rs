//! What was found, and which of it is meant.

use serde::Serialize;
use towline_core::time::Timestamp;

use crate::snapshots::{NOTES, total};

/// What is staged in the directories of a profile, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Staged {
    /// Models in caches of Hugging Face. A model that lies in two caches is there twice.
    pub models: Vec<Model>,
    /// Model files that lie by themselves.
    pub files: Vec<ModelFile>,
    /// Images of containers.
    pub images: Vec<Image>,
    /// What could not be looked at, a line each.
    pub warnings: Vec<String>,
}

/// A model in a cache of Hugging Face.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name on the hub, such as `Qwen/Qwen3-8B`.
    pub name: String,
    /// The cache: the directory in which that of the model lies.
    pub hub: String,
    /// The directory of the model.
    pub path: String,
    /// The bytes of its files, each counted once, without those of partial downloads.
    pub bytes: u64,
    /// Its revisions, the newest first.
    pub revisions: Vec<Revision>,
    /// What is there of files that are not complete.
    pub partial: Option<Partial>,
    /// The files in `blobs` with their sizes, in the order of their names.
    #[serde(skip)]
    pub(crate) blobs: Vec<(String, u64)>,
}

/// One state of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// The commit.
    pub commit: String,
    /// The names that stand for it, such as `main`.
    pub refs: Vec<String>,
    /// Its directory.
    pub path: String,
    /// How many files it has.
    pub files: usize,
    /// Their bytes, each file counted once. What it shares with other revisions is counted for each of them.
    pub bytes: u64,
    /// How many of its files are missing: links that lead nowhere.
    pub missing: usize,
    /// Whether all of it is there: by Towline's own note of a complete download, else as far as one can tell. It has weights, and all of
    /// their numbered parts; no file is missing; and it is not the newest one beside a download that was not finished.
    pub whole: bool,
    /// When a file was last added to it.
    pub modified: Timestamp,
    /// The files in `blobs` that it uses, in the order of their names.
    #[serde(skip)]
    pub(crate) blobs: Vec<String>,
}

impl Revision {
    /// Whether it can be run, as far as one can tell ([`Revision::whole`]).
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    fn is_called(&self, word: &str) -> bool {
        /// What git shows of a commit; a shorter one may be a branch's name.
        const SHORTEST: usize = 7;
        self.refs.iter().any(|name| name == word)
            || self.commit == word
            || word.len() >= SHORTEST && self.commit.starts_with(word)
    }
}

/// Downloads that were not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Partial {
    /// How many files.
    pub files: usize,
    /// How much of them is there, in bytes.
    pub bytes: u64,
}

/// A model in one file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelFile {
    /// The file.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// An image of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The name of its file, without the ending `.sif`.
    pub name: String,
    /// The file.
    pub path: String,
    /// Where it was pulled from, if that is known.
    pub source: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// What goes away with a revision or a whole model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The cache in which it lies.
    pub(crate) hub: String,
    /// The directory of the model in it.
    pub(crate) model: String,
    /// Paths below the model's directory, in the order in which they are to go; empty for all of it.
    pub(crate) paths: Vec<String>,
    /// How much room that makes, in bytes.
    pub bytes: u64,
}

impl Staged {
    /// The models of that name, in all caches.
    pub fn named<'a>(&'a self, name: &str) -> Vec<&'a Model> {
        self.models.iter().filter(|model| model.name == name).collect()
    }

    /// The newest revision of a model that is whole, or the one that `revision` means: a commit, seven or more characters of
    /// one, or a name such as `main`. One that is asked for by its name need not be whole.
    pub fn find(&self, name: &str, revision: Option<&str>) -> Option<(&Model, &Revision)> {
        let all =
            self.named(name).into_iter().flat_map(|model| model.revisions.iter().map(move |it| (model, it)));
        let fits = |found: &(&Model, &Revision)| match revision {
            Some(word) => found.1.is_called(word),
            None => found.1.is_whole(),
        };
        // Of two that are as old the first is meant: the profile's own directories come first.
        all.filter(fits).reduce(|best, next| {
            let key = |it: &(&Model, &Revision)| (it.1.is_whole(), it.1.modified);
            if key(&next) > key(&best) { next } else { best }
        })
    }

    /// The image that was pulled from `source`.
    pub fn image_from(&self, source: &str) -> Option<&Image> {
        self.images.iter().find(|image| image.source.as_deref() == Some(source))
    }
}

impl Model {
    /// The removal of the whole model.
    pub fn removal(&self) -> Removal {
        let partial = self.partial.map_or(0, |partial| partial.bytes);
        Removal {
            hub: self.hub.clone(),
            model: self.directory().to_owned(),
            paths: Vec::new(),
            bytes: total([self.bytes, partial]),
        }
    }

    /// The removal of one revision: names that stand for it, its directory, and the files that no other revision has.
    pub fn removal_of(&self, revision: &Revision) -> Removal {
        let others: Vec<&Revision> =
            self.revisions.iter().filter(|it| it.commit != revision.commit).collect();
        if others.is_empty() {
            return self.removal();
        }
        // Both are in the order of their names.
        let used = |blob: &String| others.iter().any(|other| other.blobs.binary_search(blob).is_ok());
        let size = |blob: &String| match self.blobs.binary_search_by(|(name, _)| name.cmp(blob)) {
            Ok(at) => self.blobs[at].1,
            Err(_) => 0,
        };
        let gone: Vec<&String> = revision.blobs.iter().filter(|blob| !used(blob)).collect();
        let own = revision.bytes.saturating_sub(total(revision.blobs.iter().map(size)));
        let bytes = total(gone.iter().map(|blob| size(blob)).chain([own]));
        // First what leads to the files, so that one who is interrupted leaves nothing that leads nowhere.
        let refs = revision.refs.iter().map(|name| format!("refs/{name}"));
        let own = [format!("{NOTES}/{}", revision.commit), format!("snapshots/{}", revision.commit)];
        let blobs = gone.into_iter().map(|blob| format!("blobs/{blob}"));
        let paths = refs.chain(own).chain(blobs).collect();
        Removal { hub: self.hub.clone(), model: self.directory().to_owned(), paths, bytes }
    }

    fn directory(&self) -> &str {
        self.path.strip_prefix(&self.hub).unwrap_or(&self.path).trim_start_matches('/')
    }
}
