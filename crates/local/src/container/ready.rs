//! Whether a container can be made at all, before its job is started.

use std::path::Path;
use std::time::Duration;

use towline_core::container::ContainerConfig;

use super::engine::{AskError, ask};

/// How long an engine may take to tell whether it has an image.
const ANSWER: Duration = Duration::from_secs(20);

/// Makes sure that the engine is there and has the image: it is never loaded by a start, which might take it minutes
/// without anybody being told.
///
/// # Errors
/// What is missing, and how to get it, in words.
pub(crate) async fn ready(config: &ContainerConfig) -> Result<(), String> {
    let ContainerConfig { engine, image, .. } = config;
    for mount in &config.mounts {
        // What may not be looked into from here, root's engine may.
        if Path::new(&mount.source).try_exists().is_ok_and(|exists| !exists) {
            return Err(format!("there is no {} to mount", mount.source));
        }
    }
    match ask(engine, &["image", "inspect", "--format", "{{.Id}}", image], ANSWER).await {
        Ok(_) => Ok(()),
        Err(error @ AskError::Missing { .. }) => {
            Err(format!("{error}: install it, or run the service without a container"))
        }
        Err(AskError::Refused { words, .. }) if is_missing(&words) => {
            // No registry has what was made here.
            let how = match image.starts_with("localhost/") {
                true => {
                    format!("`{engine} build -t {image} DIRECTORY` makes it, `{engine} load` brings it here")
                }
                false => format!("`{engine} pull {image}` gets it"),
            };
            Err(format!(
                "the image {image} is not on this machine: {engine} was asked for it and has none of that name; {how}"
            ))
        }
        Err(error) => Err(format!("{engine} cannot be used: {error}")),
    }
}

/// Podman: `image not known`, `failed to find image`; Docker: `No such image`.
fn is_missing(words: &str) -> bool {
    let words = words.to_lowercase();
    ["no such image", "image not known", "failed to find image"].iter().any(|known| words.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_down_misses_no_image() {
        assert!(is_missing("Error: inspecting object: nosuch:1: image not known"));
        assert!(is_missing("Error response from daemon: No such image: nosuch:1"));
        assert!(!is_missing("Cannot connect to the Docker daemon at unix:///var/run/docker.sock."));
    }
}
