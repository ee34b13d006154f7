//! `palmctl split`: a deployment in one process becomes one of two: every palm and whatever opens one moves into the
//! folder of a keyholder.
//!
//! Whatever stops it, one of the two deployments is whole. First everything new is made beside the old; a file says
//! meanwhile what that is. Then one renaming puts the new palmd.toml in the place of the old: with the old one, palmd
//! is what it was, and the next try throws away what the last one made; with the new one, palmd has a keyholder, and
//! what is left to do is to delete what it must not have any more.
//!
//! Templates are sealed anew under keys of the keyholder's own, and palmd's store is written anew without them: a store
//! that appends to its files keeps for a while what was deleted.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    CONFIG_FILE, CtlError,
    split::{self, Split},
};
use crate::{
    clock::Clock,
    config::{Config, StoreConfig},
    ctl::arguments::KeyholderArguments,
    entropy::Entropy,
    files::{self, FileError},
    gallery::rest::Templates,
    limits,
    rows::Table,
    store::{Batch, SledStore, Store, StoreError},
    vault::Keyholder,
};

const UNFINISHED: &str = "split.unfinished";
/// The end of the name of palmd's new store.
const NEW_STORE: &str = "-split";
const NO_FOLDER: CtlError = CtlError::Argument {
    argument: "--keyholder",
    remedy: "name a new folder for the keyholder",
};

/// What an unfinished split has made, and what is to be deleted once palmd has a keyholder.
#[derive(Serialize, Deserialize)]
struct Unfinished {
    made: Vec<PathBuf>,
    old: Vec<PathBuf>,
}

/// Where everything lies.
struct Plan {
    dir: PathBuf,
    keyholder: PathBuf,
    text: String,
    config: Config,
    store: PathBuf,
    new_store: PathBuf,
    sealing: PathBuf,
    gallery: PathBuf,
}

/// Says what was done and what to do next.
pub(in crate::ctl) fn run(
    dir: &Path,
    arguments: &KeyholderArguments,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<String, CtlError> {
    let path = dir.join(CONFIG_FILE);
    let text = files::read_text(&path)?;
    let config = Config::parse(&text, &path).map_err(CtlError::Deployment)?;
    if config.keyholder.is_some() {
        return finish(dir).map(|()| "Deleted what palmd must not have any more.\n".to_owned());
    }
    discard(dir)?;
    let keyholder = arguments.keyholder.clone().ok_or(NO_FOLDER)?;
    let plan = Plan::of(dir, keyholder, text, config)?;
    plan.refuse_taken()?;
    // Held until the new palmd.toml is in its place: no palmd starts on it meanwhile.
    let store = open(&plan.store)?;
    plan.note()?;
    let samples = plan.make(store, arguments, clock, entropy)?;
    finish(dir)?;
    Ok(plan.told(samples))
}

impl Plan {
    fn of(dir: &Path, keyholder: PathBuf, text: String, config: Config) -> Result<Self, CtlError> {
        let StoreConfig::Sled { path: store } = config.store.clone() else {
            return Err(CtlError::Argument {
                argument: "store.kind",
                remedy: "what is in memory cannot be split: use `palmctl init --keyholder`",
            });
        };
        let mut new_store = store.clone().into_os_string();
        new_store.push(NEW_STORE);
        let named = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        Ok(Self {
            dir: dir.to_owned(),
            keyholder,
            sealing: named(&config.keys.sealing),
            gallery: named(&config.keys.gallery),
            new_store: new_store.into(),
            store,
            text,
            config,
        })
    }

    fn made(&self) -> Vec<PathBuf> {
        let link = split::LINK_FILES.iter().map(|name| self.dir.join(name));
        let folders = [self.keyholder.clone(), self.new_store.clone()];
        folders.into_iter().chain(link).collect()
    }

    /// What is made is deleted again when it stays unfinished, so nothing of it may be there before.
    fn refuse_taken(&self) -> Result<(), CtlError> {
        match self.made().into_iter().find(|path| path.exists()) {
            Some(taken) => Err(CtlError::Make(FileError::Exists(taken))),
            None => Ok(()),
        }
    }

    fn note(&self) -> Result<(), CtlError> {
        let note = Unfinished {
            made: self.made(),
            old: vec![
                self.store.clone(),
                self.sealing.clone(),
                self.gallery.clone(),
            ],
        };
        let text = toml::to_string(&note).expect("invariant: paths are TOML");
        files::write_new(&self.dir.join(UNFINISHED), text.as_bytes()).map_err(CtlError::Make)
    }

    /// Makes everything new, then puts palmd.toml in its place. Returns how many samples moved.
    fn make(
        &self,
        store: Arc<dyn Store>,
        arguments: &KeyholderArguments,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<usize, CtlError> {
        let mut split = Split::make(&self.config.shop.name, arguments, clock.now())?;
        split.config.identification = self.config.identification.unwrap_or_default();
        split.config.limits.samples_max = self.config.limits.samples_max;
        let sealing = files::read_key(&self.sealing)?;
        let masters = [
            files::read_key(&self.config.keys.master)?,
            split::key(entropy),
        ];
        let [old, new] = masters.each_ref().map(|key| Keyholder::new(**key));
        files::make_folder(&self.keyholder).map_err(CtlError::Make)?;
        let samples = {
            let palms = open(&self.keyholder.join(split::STORE))?;
            let templates = Templates::new(Arc::clone(&store), Arc::new(old));
            let moved = templates.hand_over(&*palms, &new, entropy);
            moved.map_err(CtlError::Palms)?
        };
        copy_without_palms(&*store, &*open(&self.new_store)?).map_err(CtlError::Store)?;
        split
            .write_keyholder(&self.keyholder, [&masters[1], &sealing], entropy)
            .and_then(|()| split.write_matcher(&self.dir))
            .and_then(|()| {
                let text = self.matcher_text(arguments);
                files::replace(&self.dir.join(CONFIG_FILE), text.as_bytes())
            })
            .map_err(CtlError::Make)?;
        Ok(samples)
    }

    /// palmd.toml, less what the keyholder has now, and with the way to it.
    fn matcher_text(&self, arguments: &KeyholderArguments) -> String {
        let parsed = self.text.parse::<toml::Table>();
        let mut all = parsed.expect("invariant: it was read as a configuration");
        all.remove("identification");
        if let Some(keys) = all.get_mut("keys").and_then(toml::Value::as_table_mut) {
            keys.remove("sealing");
            keys.remove("gallery");
        }
        if let Some(toml::Value::String(path)) =
            all.get_mut("store").and_then(|store| store.get_mut("path"))
        {
            path.push_str(NEW_STORE);
        }
        let link = toml::Value::try_from(split::link(arguments));
        let link = link.expect("invariant: every field is TOML");
        all.insert("keyholder".to_owned(), link);
        toml::to_string(&all).expect("invariant: it was TOML before")
    }

    fn told(&self, samples: usize) -> String {
        let Self { keyholder, dir, .. } = self;
        format!(
            "Moved {samples} palm samples and their keys to {keyholder}: move that folder to the machine of whoever is \
             to hold them,\nkeep copies of its master.key and gallery.key there, and start it before palmd:\n\
             palmd keyholder --config {config}\n\
             Comments of {palmd} are gone. Destroy every backup of this deployment that is older than this: \
             palmd's\nmaster.key opens the palms in it.\n",
            keyholder = keyholder.display(),
            config = keyholder.join(split::CONFIG_FILE).display(),
            palmd = dir.join(CONFIG_FILE).display(),
        )
    }
}

fn open(path: &Path) -> Result<Arc<dyn Store>, CtlError> {
    let store = SledStore::open(path).map_err(CtlError::Store)?;
    Ok(Arc::new(store))
}

fn copy_without_palms(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let palms = Table::Template.key(&[]);
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = from.scan(&[], after.as_deref(), limits::SCAN_ROWS)?;
        let Some((last, _)) = rows.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        let mut batch = Batch::new();
        for (key, value) in rows {
            if !key.starts_with(&palms) {
                batch.put(key, value);
            }
        }
        to.commit(&batch)?;
    }
}

fn unfinished(dir: &Path) -> Result<Option<Unfinished>, CtlError> {
    let path = dir.join(UNFINISHED);
    if !path.exists() {
        return Ok(None);
    }
    let text = files::read_text(&path)?;
    let note = toml::from_str(&text).map_err(|error| CtlError::Operator {
        path,
        message: error.to_string(),
    })?;
    Ok(Some(note))
}

/// Throws away what an earlier try made before it was stopped: palmd.toml is still the old one.
fn discard(dir: &Path) -> Result<(), CtlError> {
    unfinished(dir)?.map_or(Ok(()), |note| delete(dir, &note.made))
}

/// Deletes what palmd must not have any more.
fn finish(dir: &Path) -> Result<(), CtlError> {
    match unfinished(dir)? {
        Some(note) => delete(dir, &note.old),
        None => Err(CtlError::Argument {
            argument: "split",
            remedy: "palmd.toml names a keyholder already",
        }),
    }
}

/// Deletes files and folders, and then the note about them.
fn delete(dir: &Path, all: &[PathBuf]) -> Result<(), CtlError> {
    let note = dir.join(UNFINISHED);
    for path in all.iter().chain([&note]) {
        let deleted = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        match deleted {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let path = path.clone();
                return Err(CtlError::Make(FileError::Write { path, source }));
            }
            _ => {}
        }
    }
    Ok(())
}
