//! `--bundle`, or what is installed → the bundle that runs, loaded from its slot.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lintel_core::table::{PersonId, Table};
use lintel_formats::bundle::{self, Manifest};
use lintel_inference::{BundleError, LoadedBundle};
use lintel_wire::event::{Started, Text};

use super::error::RunError;
use super::options::RunOptions;
use crate::events;
use crate::io::disk::RealDisk;
use crate::slots::{Installed, Slots};

/// The bundle that is to run, from its slot; installed first, if one is given.
///
/// # Errors
/// When there is none, or it is not sound.
pub fn open(options: &RunOptions) -> Result<LoadedBundle, RunError> {
    let Some(folder) = &options.bundle else {
        let slots = Slots::new(&options.state, RealDisk);
        let slot = slots.current()?.ok_or_else(|| RunError::NoBundle(options.state.clone()))?;
        return Ok(LoadedBundle::load(&slots.dir(slot))?);
    };
    if let Some(bundle) = newer_installed(folder, &options.state) {
        tracing::warn!(
            "revision {} is installed, {} holds an older one: a door only goes forward",
            bundle.manifest.revision,
            folder.display()
        );
        return Ok(bundle);
    }
    let (installed, bundle) = install(folder, &options.state)?;
    let Installed { slot, changed, .. } = installed;
    tracing::info!("the bundle {} slot {slot}", if changed { "was installed in" } else { "is already in" });
    Ok(bundle)
}

/// The bundle that is installed, if it is newer than the one in `folder`: a `--bundle` that was left on the command
/// line of the first start must not undo a push, and bring a removed person back, with every start.
fn newer_installed(folder: &Path, state: &Path) -> Option<LoadedBundle> {
    let slots = Slots::new(state, RealDisk);
    let installed = LoadedBundle::load(&slots.dir(slots.current().ok()??)).ok()?;
    let given = fs::read(folder.join(bundle::MANIFEST)).ok()?;
    let given = Manifest::from_bytes(&given).ok()?;
    (installed.manifest.revision > given.revision).then_some(installed)
}

/// Installs the bundle in `folder` under `state`, and gives it as it was loaded from there.
///
/// # Errors
/// When the bundle is not sound or cannot be written; what was current before still is.
pub fn install(folder: &Path, state: &Path) -> Result<(Installed, LoadedBundle), RunError> {
    // First as it is, so that a bad bundle writes nothing at all.
    let mut loaded = LoadedBundle::load(folder)?;
    let mut files = Vec::new();
    for name in loaded.files.iter().map(|(role, _)| role.file_name()).chain([bundle::MANIFEST]) {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|source| BundleError::Read { path, source })?;
        files.push((name, bytes));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let installed = Slots::new(state, RealDisk).install(&files, |dir| {
        loaded = LoadedBundle::load(dir)?;
        Ok::<_, BundleError>(())
    })?;
    Ok((installed, loaded))
}

/// Removes people who are not in the table from the previous slot.
pub(super) fn finish_removals(state: &Path, table: &Table) {
    let stay: BTreeSet<PersonId> = table.people().iter().map(|person| person.id).collect();
    match Slots::new(state, RealDisk).scrub(|id| stay.contains(&id)) {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => tracing::info!("{} removed people were taken out of the older bundle too", gone.len()),
        Err(e) => tracing::error!("{e}; removed people may still be in the older bundle"),
    }
}

/// The event that says what runs; `provider` is not known yet.
pub(super) fn started(bundle: &LoadedBundle) -> Started {
    let manifest = &bundle.manifest;
    Started {
        software: events::text(env!("CARGO_PKG_VERSION")),
        pack: events::text(&manifest.pack),
        revision: manifest.revision,
        encoder: manifest.encoder.into(),
        people: u32::try_from(bundle.table.len()).unwrap_or(u32::MAX),
        provider: Text::new(),
    }
}
