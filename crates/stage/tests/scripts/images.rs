//! Images, pulled by a stand-in for Apptainer.

use std::fs;

use towline_stage::{Begun, Errand, ImageName, ImageSource, Place, StageError};

use crate::support::Host;

/// Writes what it was asked for into the image, and where its cache is.
const APPTAINER: &str = r#"[ "$1 $2 $3" = '--quiet pull --force' ] || exit 9
[ -d "$APPTAINER_CACHEDIR" ] && [ -d "$APPTAINER_TMPDIR" ] || exit 8
echo "$5" >"$4"
"#;

fn image() -> (ImageSource, ImageName, Errand) {
    let source: ImageSource = "docker://vllm/vllm-openai:v0.11.0".parse().unwrap();
    let name = source.name();
    let errand = Errand::image(&name);
    (source, name, errand)
}

#[tokio::test]
async fn an_image_is_pulled_found_by_its_source_and_removed() {
    for program in ["apptainer", "singularity"] {
        let host = Host::new();
        host.command(program, APPTAINER);
        let (source, name, errand) = image();
        let begun = host.stage.pull(&source, &name, &Place::Here).await.unwrap();
        assert_eq!(begun, Begun::Started(None));
        host.end(&errand).await.unwrap();
        let staged = host.stage.look().await.unwrap();
        let found = staged.image_from(source.as_str()).unwrap();
        assert_eq!(found.path, host.path("a cache/images/vllm-openai_v0.11.0.sif").to_str().unwrap());
        assert_eq!(fs::read_to_string(&found.path).unwrap().trim(), source.as_str());
        assert!(staged.image_from("docker://vllm/vllm-openai:v0.12.0").is_none());
        host.stage.remove_image(found).await.unwrap();
        assert_eq!(host.stage.look().await.unwrap().images, []);
        assert!(!host.path("a cache/images/.vllm-openai_v0.11.0.sif.source").exists());
    }
}

#[tokio::test]
async fn what_cannot_be_pulled_leaves_the_old_one() {
    let host = Host::new();
    fs::create_dir_all(host.path("a cache/images")).unwrap();
    fs::write(host.path("a cache/images/vllm-openai_v0.11.0.sif"), "old").unwrap();
    host.command("apptainer", "echo half >\"$4\"\necho 'FATAL: no such image' >&2\nexit 255\n");
    let (source, name, errand) = image();
    host.stage.pull(&source, &name, &Place::Here).await.unwrap();
    let error = host.end(&errand).await.unwrap_err();
    assert!(
        matches!(&error, StageError::Failed { words } if words.contains("FATAL: no such image")),
        "{error}"
    );
    let staged = host.stage.look().await.unwrap();
    assert_eq!(staged.images.iter().map(|it| it.bytes).collect::<Vec<_>>(), [3]);
    assert!(staged.image_from(source.as_str()).is_none());
    let none = Host::new();
    none.stage.pull(&source, &name, &Place::Here).await.unwrap();
    let error = none.end(&errand).await.unwrap_err();
    assert!(matches!(&error, StageError::NoTool { tool } if tool == "apptainer"), "{error}");
}

#[tokio::test]
async fn another_source_of_the_same_name_is_not_taken_for_it() {
    let host = Host::new();
    let go = host.path("go");
    host.command(
        "apptainer",
        &format!("while [ ! -e '{}' ]; do sleep 0.01; done\necho \"$5\" >\"$4\"\n", go.display()),
    );
    let first: ImageSource = "docker://first/y:1".parse().unwrap();
    let second: ImageSource = "docker://second/y:1".parse().unwrap();
    let name = first.name();
    host.stage.pull(&first, &name, &Place::Here).await.unwrap();
    assert_eq!(host.stage.pull(&first, &name, &Place::Here).await.unwrap(), Begun::Joined(None));
    let error = host.stage.pull(&second, &name, &Place::Here).await.unwrap_err();
    assert!(matches!(&error, StageError::OtherSource { other } if other == first.as_str()), "{error}");
    fs::write(go, "").unwrap();
    host.end(&Errand::image(&name)).await.unwrap();
    assert!(host.stage.look().await.unwrap().image_from(first.as_str()).is_some());
}
