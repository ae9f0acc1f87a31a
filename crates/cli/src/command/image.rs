//! `towline image`

use towline_recipes::{Kind as Type, Provider, Recipe, Value};
use towline_stage::{Begun, Errand, Image, ImageName, ImageSource};

use super::in_use::{Going, check_unused};
use super::model::look;
use super::staging::{Following, PlaceArgs, ProfileArg, confirmed, failure, follow, stage};
use crate::app::App;
use crate::args::JsonArg;
use crate::config::Flags;
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::names;
use crate::recipes::Shelf;
use crate::render::{images_table, size};

/// Look at the container images that lie where services run, pull and remove them
///
/// Images lie in `images` below the profile's `cache`, or below its home without one. `run` takes the one that was pulled from where a
/// recipe's image is, instead of pulling it on a node.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImageVerb {
    Ls(LsArgs),
    Add(AddArgs),
    Rm(RmArgs),
}

impl ImageVerb {
    /// The layer of the configuration that its options are.
    pub(super) fn flags(&self) -> Flags {
        match self {
            Self::Ls(args) => args.profile.flags(),
            Self::Add(args) => args.place.flags(),
            Self::Rm(args) => args.profile.flags(),
        }
    }
}

/// List images: what they were pulled from, and how large they are
///
/// With --json an array of objects with `name`, `path`, `source` (null if it is not known), `bytes` and `modified`.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    output: JsonArg,
}

/// Pull an image with Apptainer, on the login host or in a job
///
/// Prints its path. With --json an object as those of `image ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// What to pull, such as docker://vllm/vllm-openai:v0.11.0; or a recipe, whose image is meant
    #[arg(value_name = "SOURCE or RECIPE")]
    source: String,
    /// Variant of the recipe, such as an engine [default: the recipe's own default]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Name of the image [default: made from its source, as Apptainer does]
    #[arg(long)]
    name: Option<ImageName>,
    /// Pull it also if it is there, or in place of an image from elsewhere that has its name
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: JsonArg,
}

/// Remove an image
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Name of the image, as `image ls` shows it
    #[arg(value_name = "NAME")]
    name: String,
    /// Remove it without a question
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    profile: ProfileArg,
}

/// Does what the verb says.
pub(super) async fn image(app: &App, verb: &ImageVerb) -> Outcome<()> {
    match verb {
        ImageVerb::Ls(args) => ls(app, args).await,
        ImageVerb::Add(args) => add(app, args).await,
        ImageVerb::Rm(args) => rm(app, args).await,
    }
}

async fn ls(app: &App, args: &LsArgs) -> Outcome<()> {
    let images = look(app).await?.images;
    if args.output.json {
        return Ok(app.terminal.json(&images)?);
    }
    if images.is_empty() {
        app.terminal.note("no images; `towline image add RECIPE` pulls that of a recipe");
    }
    Ok(app.terminal.table(&images_table(&images, app.now()))?)
}

async fn add(app: &App, args: &AddArgs) -> Outcome<()> {
    let source = source(args)?;
    let (_, profile, stage) = stage(app)?;
    let place = args.place.place(profile)?;
    let name = args.name.clone().unwrap_or_else(|| source.name());
    if source.is_moving() {
        app.terminal
            .warn(&format!("{source} stands for another image tomorrow; a tag with a version does not"));
    }
    let failed = || format!("failed to pull image {source}");
    let there = look(app).await?.images;
    if let Some(there) = find(&there, name.as_str()) {
        let is_same = there.source.as_deref() == Some(source.as_str());
        if is_same && !source.is_moving() && !args.force {
            return told(app, args, there);
        }
        if !is_same {
            replaces(app, args, there).await.during(failed)?;
        }
    }
    let errand = Errand::image(&name);
    let begun =
        stage.pull(&source, &name, &place).await.map_err(|error| failure(app, error)).during(failed)?;
    let (Begun::Started(job) | Begun::Joined(job)) = &begun;
    if matches!(begun, Begun::Joined(_)) {
        app.terminal.note("an image of that name is being pulled already; that is followed");
    }
    let following =
        Following { stage: &stage, errand: &errand, what: name.as_str(), all: None, job: job.clone() };
    follow(app, &following).await?.map_err(|error| failure(app, error)).during(failed)?;
    let images = look(app).await?.images;
    let Some(image) = find(&images, name.as_str()) else {
        let message = format!("image {name} was pulled, and is not found where it should lie");
        return Err(Failure::new(Kind::Internal, message).hint("`towline image ls` shows what is there"));
    };
    told(app, args, image)
}

/// Makes sure that this image may give way to one from elsewhere.
async fn replaces(app: &App, args: &AddArgs, there: &Image) -> Outcome<()> {
    if args.force {
        return check_unused(app, &Going { path: &there.path, model: None, staying: Vec::new() }).await;
    }
    let origin = there.source.as_deref().unwrap_or("nobody knows where");
    let message = format!("image {} is there, from {origin}", there.name);
    Err(Failure::new(Kind::Conflict, message)
        .hint("--name gives this one another name; --force replaces that one"))
}

fn told(app: &App, args: &AddArgs, image: &Image) -> Outcome<()> {
    if args.output.json {
        return Ok(app.terminal.json(image)?);
    }
    app.terminal.note(&format!("image {} is there: {}", image.name, size(image.bytes)));
    Ok(app.terminal.data(&image.path)?)
}

async fn rm(app: &App, args: &RmArgs) -> Outcome<()> {
    let images = look(app).await?.images;
    let Some(image) = find(&images, &args.name) else {
        let profile = &app.config.default_profile;
        let message = format!("image {} is not there in profile {profile}", names::shown(&args.name));
        let failure = Failure::new(Kind::NotFound, message);
        return Err(match names::nearest(&args.name, images.iter().map(|image| image.name.as_str())) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("`towline image ls` shows what is there"),
        });
    };
    let failed = || format!("failed to remove image {}", image.name);
    check_unused(app, &Going { path: &image.path, model: None, staying: Vec::new() }).await.during(failed)?;
    let question = format!("remove image {} ({})?", image.path, size(image.bytes));
    if !confirmed(app, args.yes, &question)? {
        return Ok(());
    }
    let (_, _, stage) = stage(app)?;
    stage.remove_image(image).await.map_err(|error| failure(app, error)).during(failed)?;
    app.terminal.note(&format!("image {} is removed: {}", image.name, size(image.bytes)));
    Ok(())
}

fn find<'a>(images: &'a [Image], name: &str) -> Option<&'a Image> {
    let name = name.strip_suffix(".sif").unwrap_or(name);
    images.iter().find(|image| image.name == name)
}

/// Where the image is pulled from.
fn source(args: &AddArgs) -> Outcome<ImageSource> {
    let usage = |message: String| Failure::new(Kind::Usage, message);
    if args.source.contains("://") {
        if args.variant.is_some() {
            return Err(usage("--variant goes with a recipe".to_owned()));
        }
        return args.source.parse().map_err(|error: towline_stage::BadImageSource| usage(error.to_string()));
    }
    let found = Shelf::of_process()?.get(&args.source, Kind::NotFound)?;
    let recipe = found.recipe()?;
    let image = image_of(recipe, args.variant.as_deref())?;
    image.parse().map_err(|error: towline_stage::BadImageSource| {
        usage(error.to_string()).hint(format!("it is what recipe {} names", recipe.name()))
    })
}

/// The image that a recipe names.
fn image_of(recipe: &Recipe, variant: Option<&str>) -> Outcome<String> {
    let whom = format!("recipe {}", recipe.name());
    let default = recipe.selector().and_then(|selector| match (&selector.kind, &selector.default) {
        (Type::Variant(_), Some(Value::Text(name))) => Some(name.clone()),
        _ => None,
    });
    let name = variant.map(str::to_owned).or(default).unwrap_or_default();
    let Some(run) = recipe.runs().get(&name) else {
        let known: Vec<&str> =
            recipe.runs().keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let failure = Failure::new(Kind::Usage, format!("{whom} has no variant {}", names::shown(&name)));
        return Err(match known.is_empty() {
            true => failure.hint("leave out --variant"),
            false => failure.hint(format!("--variant {}", known.join(" or "))),
        });
    };
    let image = run.container.as_ref().and_then(|container| container.images.get(&Provider::Apptainer));
    image.cloned().ok_or_else(|| {
        Failure::new(Kind::Usage, format!("{whom} names no image for Apptainer"))
            .hint("name a source instead, such as docker://ORG/NAME:TAG")
    })
}
