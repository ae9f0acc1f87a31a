//! Reads a recipe, tells what it takes, and makes the spec of a service of it.
//!
//! `cargo run -p towline-recipes --example hello [-- FILE]`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use towline_recipes::{EXAMPLE, Recipe, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let (origin, text) = match std::env::args().nth(1) {
        Some(file) => (file.clone(), std::fs::read_to_string(file)?),
        None => ("hello.toml".to_owned(), EXAMPLE.to_owned()),
    };
    let recipe = match Recipe::read("hello", &text, &origin) {
        Ok(recipe) => recipe,
        Err(bad) => {
            for problem in &bad.problems {
                println!("{origin}:{problem}");
                println!("  {}", problem.hint.as_deref().unwrap_or("see docs/recipes.md"));
            }
            return Err(format!("{origin} is no recipe").into());
        }
    };
    println!("{}", recipe.summary());
    for parameter in recipe.parameters() {
        println!("  --{} ({}): {}", parameter.name, parameter.kind.name(), parameter.help);
    }

    let mut request = Request::new("web".parse()?, "lab");
    request.model = recipe.model().map(|_| "org/model".to_owned());
    if recipe.parameters().iter().any(|parameter| parameter.name == "directory") {
        request.values.insert("directory".to_owned(), vec!["/srv/my files; $(id)".to_owned()]);
    }
    let spec = recipe.resolve(&request)?;
    println!("command: {:?}", spec.command);
    println!("ready when {} answers, within {} s", spec.health, spec.grace.as_secs());
    Ok(())
}
