//! A story → what was observed. Each module is one kind of rig.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use lintel_formats::bundle::{MANIFEST, Manifest, Role};
use lintel_inference::LoadedBundle;

use crate::story::Story;
use crate::world::{self, World};

pub mod link;
pub mod programs;
pub mod sim;
pub mod vm;

/// Writes the bundle for a story's door to the new folder `to`: the world's bundle without the people who were removed.
///
/// # Errors
/// If it cannot be written, or a person who is to be removed is not in it.
pub fn bundle(story: &Story, world: &World, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(world.bundle())? {
        let path = entry?.path();
        fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
    }
    if story.table.without.is_empty() {
        return Ok(());
    }
    let LoadedBundle { mut manifest, mut table, .. } = LoadedBundle::load(to)?;
    for number in &story.table.without {
        let name = world::name(*number);
        let person = table.people().iter().find(|person| person.name == name);
        let id = person.with_context(|| format!("nobody called {name} is in the table"))?.id;
        table = table.without(id)?;
    }
    let bytes = lintel_formats::table::to_bytes(&table);
    manifest = Manifest { revision: table.revision(), ..manifest.with(Role::Table, &bytes) };
    fs::write(to.join(Role::Table.file_name()), bytes)?;
    fs::write(to.join(MANIFEST), manifest.to_bytes()?)?;
    Ok(())
}
