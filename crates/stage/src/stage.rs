//! The verbs, over a shell.

use std::sync::Arc;
use std::time::Duration;

use towline_core::ports::{RemoteShell, ShellOutput, ShellScript};
use towline_core::runner::{Directory, quote};

use crate::ask::{self, HTTP};
use crate::errand::{self, Begun, Errand, Place, Progress, Task};
use crate::error::StageError;
use crate::hub::{Hub, Token};
use crate::image::{ImageName, ImageSource};
use crate::look;
use crate::model::{Choice, Manifest, Want};
use crate::remove;
use crate::staged::{Image, Removal, Staged};

/// How long a look may take: caches lie on file systems that are slow at times.
const LOOK: Duration = Duration::from_secs(120);
/// How long the hub may take for its list, with all tries.
const ASK: Duration = Duration::from_secs(300);
/// How long it may take to begin something; `sbatch` has a minute of it.
const BEGIN: Duration = Duration::from_secs(120);
/// How much longer than what it waits for a look at a download may take.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a removal may take.
const REMOVE: Duration = Duration::from_secs(600);

/// The directories of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where Towline keeps its files there.
    pub home: Directory,
    /// Where models and images are to lie: in `models` and `images` below it. Without it models go to where servers look by
    /// themselves, and images below the home.
    pub cache: Option<Directory>,
}

impl Places {
    /// The directories to look in, the one that goes before the other first.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Directory> {
        self.cache.iter().chain([&self.home])
    }

    /// The cache for models, as a word of a script.
    fn hub(&self) -> String {
        match &self.cache {
            Some(cache) => format!("{}/models", cache.word()),
            None => {
                r#""${HF_HUB_CACHE:-${HUGGINGFACE_HUB_CACHE:-${HF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}/hub}}""#
                    .to_owned()
            }
        }
    }

    fn images(&self) -> String {
        format!("{}/images", self.cache.as_ref().unwrap_or(&self.home).word())
    }
}

/// Looks for models and images, brings them there, and removes them.
#[derive(Clone)]
pub struct Stage {
    shell: Arc<dyn RemoteShell>,
    places: Places,
    pause: u32,
}

impl Stage {
    /// Of these directories, by way of that shell.
    pub fn new(shell: Arc<dyn RemoteShell>, places: Places) -> Self {
        Self { shell, places, pause: 1 }
    }

    /// The same with another first wait after a failed request, in seconds; each further one is twice as long, up to a minute.
    #[must_use]
    pub fn with_pause(mut self, seconds: u32) -> Self {
        self.pause = seconds;
        self
    }

    /// All that is staged, with one remote command, which also removes tokens of downloads that neither run nor wait.
    ///
    /// # Errors
    /// The shell's, [`StageError::NoTool`] without `find` or `stat`, [`StageError::Garbled`]. What cannot be read is a warning.
    pub async fn look(&self) -> Result<Staged, StageError> {
        look::read(&self.run(look::script(&self.places), LOOK).await?)
    }

    /// The files of a model by the hub's word, with one remote command.
    ///
    /// # Errors
    /// What keeps the hub from telling them, and [`StageError::Hostile`] for a list that cannot be right.
    pub async fn manifest(
        &self,
        hub: &Hub,
        token: Option<&Token>,
        want: &Want,
        choice: &Choice,
    ) -> Result<Manifest, StageError> {
        let output = self.run(ask::script(hub, token, want, self.pause), ASK).await?;
        ask::read(want, choice, token.is_some(), &output)
    }

    /// Begins to download a model, or to go on with it, with one remote command.
    ///
    /// # Errors
    /// What keeps it from being begun; what happens later is told by [`Stage::progress`].
    pub async fn download(
        &self,
        hub: &Hub,
        token: Option<&Token>,
        manifest: &Manifest,
        place: &Place,
    ) -> Result<Begun, StageError> {
        let Manifest { want, commit, .. } = manifest;
        let reference = if want.revision == *commit { "" } else { &want.revision };
        let text = format!(
            "hub={hub}\nbase={hub}/{name}/resolve/{commit}/\nrepo={cache}/{directory}\ncommit={commit}\nref={reference}\nall={all}\npause={pause}\n\
             work=$dir\n{HTTP}{}",
            include_str!("shell/download.sh"),
            hub = quote(hub.as_str())?,
            name = want.name,
            cache = self.places.hub(),
            directory = want.name.directory(),
            reference = quote(reference)?,
            all = if manifest.is_all { "yes" } else { "" },
            pause = self.pause,
        );
        let task = Task {
            errand: &Errand::model(want, token.is_some()),
            place,
            text: &text,
            list: Some(&manifest.list()),
            token,
            tools: if *place == Place::Here { "curl sha256sum sha1sum stat awk" } else { "sbatch squeue" },
        };
        errand::read_start(&self.run(errand::start(&task, &self.places.home), BEGIN).await?)
    }

    /// Begins to pull an image, with one remote command.
    ///
    /// # Errors
    /// [`StageError::OtherSource`] while an image of that name is pulled from elsewhere; else as [`Stage::download`].
    pub async fn pull(
        &self,
        source: &ImageSource,
        name: &ImageName,
        place: &Place,
    ) -> Result<Begun, StageError> {
        let text = format!(
            "images={}\nfile={name}.sif\nsource={}\n{}",
            self.places.images(),
            quote(source.as_str())?,
            include_str!("shell/pull.sh")
        );
        let errand = &Errand::image(name);
        let tools = if *place == Place::Here { "stat" } else { "sbatch squeue" };
        let task = Task { errand, place, text: &text, list: Some(source.as_str()), token: None, tools };
        let output = self.run(errand::start(&task, &self.places.home), BEGIN).await?;
        let begun = errand::read_start(&output)?;
        match errand::read_list(&output)? {
            Some(other) if begun.is_joined() && other != source.as_str() => {
                Err(StageError::OtherSource { other })
            }
            _ => Ok(begun),
        }
    }

    /// How far something is that was begun; returns at its end, or after `wait`.
    ///
    /// # Errors
    /// The shell's, and [`StageError::Garbled`]: of how it goes nothing is known then. That it has failed is no error here.
    pub async fn progress(&self, errand: &Errand, wait: Duration) -> Result<Progress, StageError> {
        let text = errand::progress(errand, &self.places.home, wait);
        errand::read_progress(errand, &self.run(text, wait + MARGIN).await?)
    }

    /// Ends what was begun with [`Place::Here`]. What it has downloaded stays, and is gone on with by the next one. Returns the
    /// host on which it runs on, if that is another one of several login hosts.
    ///
    /// # Errors
    /// The shell's, and [`StageError::Garbled`].
    pub async fn stop(&self, errand: &Errand) -> Result<Option<String>, StageError> {
        errand::read_stop(&self.run(errand::stop(errand, &self.places.home), MARGIN).await?)
    }

    /// Removes a model, or a part of it, of the given name.
    ///
    /// # Errors
    /// [`StageError::Busy`] while it is downloaded, [`StageError::Unseen`] while not all of the model can be read,
    /// [`StageError::Directory`] for what cannot be removed, and the shell's.
    pub async fn remove(&self, want: &Want, removal: &Removal) -> Result<(), StageError> {
        let text = remove::model(&Errand::model(want, false), &self.places.home, removal)?;
        remove::read(&self.run(text, REMOVE).await?)
    }

    /// Removes an image.
    ///
    /// # Errors
    /// As [`Stage::remove`].
    pub async fn remove_image(&self, image: &Image) -> Result<(), StageError> {
        // One that was not pulled by us may have a name that none of ours has: nothing pulls it.
        let none = || "none".parse::<ImageName>();
        let Ok(name) = image.name.parse::<ImageName>().or_else(|_| none()) else {
            return Err(StageError::Failed { words: "it has no name".to_owned() });
        };
        let text = remove::image(&Errand::image(&name), &self.places.home, image)?;
        remove::read(&self.run(text, REMOVE).await?)
    }

    async fn run(&self, text: String, deadline: Duration) -> Result<ShellOutput, StageError> {
        Ok(self.shell.run(&ShellScript { text, deadline }).await?)
    }
}
