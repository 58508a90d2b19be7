//! `cpu`, `vulkan` or `cuda` → the device that training runs on, or one line that says why it cannot.
//!
//! Tensors find the kernels of their device at run time, so the training code is the same for all devices. They differ
//! in which of them a program was built with (features `vulkan` and `cuda`) and which the machine has. There is no
//! fallback: a missing GPU is an error.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use burn::module::Module as _;
#[cfg(any(feature = "vulkan", feature = "cuda"))]
use burn::tensor::DeviceType;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::gradients::gradients;
use super::loss::{Targets, loss};
use super::{CHUNK, Settings};
use lintel_clip::text_encoder::{
    MatmulPrecision, Prompts, TextConfig, TextEncoder, normalized, param_id, random_tensors,
};

/// Time limit for a driver to open a device and to multiply two small matrices. Some drivers wait for ever where there
/// is no adapter.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names whose prompts are computed at once on a GPU, which a few do not keep busy.
const GPU_CHUNK: usize = 1024;
/// Side of the matrices of the trial: large enough for the kernels of matrix units.
const TRIAL: usize = 128;
/// Greatest error of the trial's product, relative to its greatest component: bf16 keeps 8 bits.
const TRIAL_SLACK: f32 = 0.02;

/// Time limit for the first text embedding, in which kernels are compiled and chosen; that takes some programs minutes.
const KERNELS: Duration = Duration::from_secs(600);
/// Greatest distance of a device's embedding from the processor's: products in TF32 keep 10 bits.
const READING_SLACK: Off = Off { embedding: 0.01, gradient: 0.05 };
/// The same where products keep 8 bits.
const BF16_READING_SLACK: Off = Off { embedding: 0.06, gradient: 0.2 };

/// The device for training.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, through its Vulkan driver.
    Vulkan,
    /// A GPU of NVIDIA, through CUDA.
    Cuda,
}

/// A device that passed the trial.
#[derive(Clone, Debug)]
pub struct Processor {
    /// The device for tensors.
    pub device: Device,
    /// The device's own name.
    pub name: String,
    /// Whether a program on the processor emulates the GPU (Mesa's lavapipe): right results, but slow.
    pub software: bool,
}

/// Why training cannot run on the device asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The program has no code for the device.
    #[error(
        "this program was built without {compute}; build it with `cargo build --release --features lintel/{compute}`, \
         or leave --device out"
    )]
    NotBuilt {
        /// The device asked for.
        compute: Compute,
    },
    /// The machine has no such device.
    #[error("there is no GPU: {looked_for} and found none; install the GPU's driver, or leave --device out")]
    NoAdapter {
        /// What was looked for, as part of a sentence.
        looked_for: &'static str,
    },
    /// The driver does not return.
    #[error("{compute} did not answer within {seconds} s; check the GPU's driver, or leave --device out")]
    Silent {
        /// The device asked for.
        compute: Compute,
        /// The time limit.
        seconds: u64,
    },
    /// The driver fails or computes wrong results.
    #[error("{compute} does not work here ({what}); check the GPU's driver, or leave --device out")]
    Broken {
        /// The device asked for.
        compute: Compute,
        /// The driver's error, or what was wrong.
        what: String,
    },
    /// The device exists, but has no products of this precision.
    #[error("{name} does not multiply in {precision} here ({what}); leave --precision out")]
    Precision {
        /// The device's own name.
        name: String,
        /// The precision asked for.
        precision: MatmulPrecision,
        /// The driver's error, or what was wrong.
        what: String,
    },
}

/// The text names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("got {0:?}, wanted cpu, vulkan or cuda")]
pub struct NoDevice(String);

impl std::str::FromStr for Compute {
    type Err = NoDevice;

    fn from_str(text: &str) -> Result<Self, NoDevice> {
        let all = [Self::Cpu, Self::Vulkan, Self::Cuda];
        all.into_iter().find(|compute| compute.to_string() == text).ok_or_else(|| NoDevice(text.to_owned()))
    }
}

impl std::fmt::Display for Compute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        })
    }
}

/// How to list devices, and what is looked for.
type Listing = (fn() -> Vec<Device>, &'static str);

impl Compute {
    /// The default number of names whose prompts are computed at once.
    #[must_use]
    pub const fn chunk(self) -> usize {
        match self {
            Self::Cpu => CHUNK,
            Self::Vulkan | Self::Cuda => GPU_CHUNK,
        }
    }

    /// Opens the device after it has multiplied two matrices in the precision asked for. With several GPUs it is the
    /// first that the driver lists, discrete ones before others.
    ///
    /// # Errors
    /// [`ComputeError`], within a minute or two even if the driver hangs.
    pub fn open(self, precision: MatmulPrecision) -> Result<Processor, ComputeError> {
        if self == Self::Cpu {
            return Ok(Processor { device: Device::flex(), name: "the processor".to_owned(), software: false });
        }
        let processor = self.first_answer()?;
        match self.try_out(&processor.device, precision) {
            Err(ComputeError::Broken { what, .. }) => {
                return Err(ComputeError::Precision { name: processor.name, precision, what });
            }
            result => result?,
        }
        self.read_out(&processor.device, precision)?;
        Ok(processor)
    }

    /// Opens the first device of this kind after it has multiplied two matrices.
    ///
    /// # Errors
    /// [`ComputeError`].
    pub fn first_answer(self) -> Result<Processor, ComputeError> {
        let processor = self.first()?;
        self.try_out(&processor.device, MatmulPrecision::F32)?;
        Ok(processor)
    }

    /// Computes the embeddings of a few prompts with a small text encoder, and the gradient of a loss over them, and
    /// compares both with the processor's: a table from a device that computes something else would open doors by
    /// chance.
    fn read_out(self, device: &Device, precision: MatmulPrecision) -> Result<(), ComputeError> {
        let device = device.clone();
        let off = self.answer(KERNELS, move || reading(&device, precision))?;
        let slack = match precision {
            MatmulPrecision::F32 => READING_SLACK,
            MatmulPrecision::Bf16 => BF16_READING_SLACK,
        };
        if off.embedding <= slack.embedding && off.gradient <= slack.gradient {
            return Ok(());
        }
        let what = format!(
            "a text embedding is {:.3} away from the processor's, a gradient {:.3}; at most {} and {} may be",
            off.embedding, off.gradient, slack.embedding, slack.gradient
        );
        Err(ComputeError::Broken { compute: self, what })
    }

    fn first(self) -> Result<Processor, ComputeError> {
        let (list, looked_for) = self.devices().ok_or(ComputeError::NotBuilt { compute: self })?;
        self.answer(PATIENCE, move || list().into_iter().next().map(identified))?
            .ok_or(ComputeError::NoAdapter { looked_for })
    }

    /// How to list the devices, and what is looked for; none if the program was built without.
    fn devices(self) -> Option<Listing> {
        match self {
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some((
                || Device::enumerate(DeviceType::Vulkan).into_vec(),
                "looked for an adapter of any Vulkan driver that the loader (libvulkan.so.1) knows",
            )),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some((
                || Device::enumerate(DeviceType::Cuda).into_vec(),
                "looked for a device of NVIDIA's driver (libcuda.so)",
            )),
            _ => None,
        }
    }

    /// Multiplies two matrices whose product is known.
    fn try_out(self, device: &Device, precision: MatmulPrecision) -> Result<(), ComputeError> {
        let device = device.clone();
        let off = self.answer(PATIENCE, move || trial(&device, precision))?;
        if off <= TRIAL_SLACK {
            return Ok(());
        }
        Err(ComputeError::Broken { compute: self, what: format!("a product is off by {:.0} %", off * 100.0) })
    }

    /// The result of `ask`, run on a thread that is abandoned if it does not return in time.
    fn answer<T: Send + 'static>(
        self,
        patience: Duration,
        ask: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeError> {
        let (tell, told) = mpsc::channel();
        let ask = move || {
            let _ = tell.send(panic::catch_unwind(AssertUnwindSafe(ask)).map_err(|cause| said(&*cause)));
        };
        let broken = |what: String| ComputeError::Broken { compute: self, what };
        // A panic's text is in the error, and the user gets one line. There is one hook for all threads.
        static HOOK: Mutex<()> = Mutex::new(());
        let swapped = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let started = thread::Builder::new().name("lintel-gpu".to_owned()).spawn(ask);
        let answer = started.map(|_| told.recv_timeout(patience));
        panic::set_hook(hook);
        drop(swapped);
        match answer {
            Ok(Ok(answer)) => answer.map_err(broken),
            Ok(Err(RecvTimeoutError::Timeout)) => {
                Err(ComputeError::Silent { compute: self, seconds: patience.as_secs() })
            }
            Ok(Err(RecvTimeoutError::Disconnected)) => Err(broken("its thread ended".to_owned())),
            Err(error) => Err(broken(error.to_string())),
        }
    }
}

/// The error of a product in this precision, relative to the greatest component; infinite if it is not a number.
fn trial(device: &Device, precision: MatmulPrecision) -> f32 {
    let mut random = fastrand::Rng::with_seed(1);
    let mut matrix = || -> Vec<f32> { (0..TRIAL * TRIAL).map(|_| random.f32() - 0.5).collect() };
    let (a, b) = (matrix(), matrix());
    let tensor = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [TRIAL, TRIAL]), device);
    let product = precision.product(tensor(&a), tensor(&b)).into_data();
    let Ok(got) = product.try_to_vec::<f32>() else { return f32::INFINITY };
    let wanted =
        |row: usize, column: usize| -> f32 { (0..TRIAL).map(|i| a[row * TRIAL + i] * b[i * TRIAL + column]).sum() };
    let (mut greatest, mut off) = (0.0_f32, 0.0_f32);
    for (i, got) in got.iter().enumerate() {
        let wanted = wanted(i / TRIAL, i % TRIAL);
        greatest = greatest.max(wanted.abs());
        let difference = (got - wanted).abs();
        off = off.max(if difference.is_finite() { difference } else { f32::INFINITY });
    }
    off / greatest
}

/// The differences between a device's results and the processor's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Off {
    /// The greatest Euclidean distance between embeddings, which have unit length.
    embedding: f32,
    /// The greatest difference in a gradient, relative to its greatest component.
    gradient: f32,
}

/// The differences between a small text encoder's embeddings on this device and on the processor in f32, and between
/// the gradients of the first and the last weights that training's loss reaches; infinite if they are not numbers. The
/// prompts share a beginning and differ at the end, as people's do.
fn reading(device: &Device, precision: MatmulPrecision) -> Off {
    let nothing = Off { embedding: f32::INFINITY, gradient: f32::INFINITY };
    let wanted = read(&Device::flex(), MatmulPrecision::F32);
    let Some((got, wanted)) = read(device, precision).zip(wanted) else { return nothing };
    let distance = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let rows = got[0].chunks_exact(READER.dim).zip(wanted[0].chunks_exact(READER.dim));
    let gradient = |place: usize| {
        let greatest = wanted[place].iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        worst(got[place].iter().zip(&wanted[place]).map(|(a, b)| (a - b).abs() / greatest))
    };
    Off { embedding: worst(rows.map(distance)), gradient: worst([gradient(1), gradient(2)].into_iter()) }
}

/// The greatest; infinite if one is not a number.
fn worst(offs: impl Iterator<Item = f32>) -> f32 {
    offs.fold(0.0, |most, off| if off.is_finite() { most.max(off) } else { f32::INFINITY })
}

const READER: TextConfig = TextConfig { vocabulary: 24, context: 16, width: 128, layers: 2, dim: 64 };

/// The embeddings of a few prompts, and two gradients.
fn read(device: &Device, precision: MatmulPrecision) -> Option<[Vec<f32>; 3]> {
    let device = device.clone().autodiff();
    let end = |person: usize| [vec![person as u32 + 4; 1 + person % 5], vec![23]].concat();
    let rows: Vec<Vec<u32>> = (0..12).map(|person| [vec![22, 1, 2, 3], end(person)].concat()).collect();
    let encoder = TextEncoder::from_tensors(&random_tensors(&READER, 7), &device).ok()?;
    let encoder = encoder.with_matmul_precision(precision);
    let prompts = Prompts::new(&rows, &READER).ok()?;
    let mut random = fastrand::Rng::with_seed(3);
    let values: Vec<f32> = (0..rows.len() * READER.dim).map(|_| random.f32() - 0.5).collect();
    let photos = normalized(Tensor::from_data(TensorData::new(values, [rows.len(), READER.dim]), &device));
    let targets = Targets { labels: (0..rows.len() as u32).collect(), log_weights: vec![0.0; rows.len()] };
    let settings = Settings::default();
    let (_, found) =
        gradients(&encoder, &prompts, rows.len(), |classes, scale| loss(&settings, photos, classes, scale, &targets));
    let gradient = |name: &str| found.get::<2>(param_id(name))?.into_data().try_to_vec::<f32>().ok();
    let embeddings = encoder.valid().forward(&prompts).into_data().try_to_vec::<f32>().ok()?;
    Some([embeddings, gradient("token_embedding.weight")?, gradient("text_projection")?])
}

/// The text of a panic.
fn said(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().copied().or(cause.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it gave no reason").to_owned()
}

#[cfg(any(feature = "vulkan", feature = "cuda"))]
fn identified(device: Device) -> Processor {
    let identity = device.identity();
    let (name, software) = identity.map_or_else(|| ("a GPU".to_owned(), false), |id| (id.name, id.physical.is_none()));
    Processor { device, name, software }
}

/// Without a GPU's code no device is listed.
#[cfg(not(any(feature = "vulkan", feature = "cuda")))]
fn identified(device: Device) -> Processor {
    Processor { device, name: "a GPU".to_owned(), software: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        for precision in [MatmulPrecision::F32, MatmulPrecision::Bf16] {
            let processor = Compute::Cpu.open(precision).expect("a processor");
            assert!(!processor.software);
        }
    }

    #[test]
    fn a_device_reads_as_the_processor_does() {
        assert_eq!(reading(&Device::flex(), MatmulPrecision::F32), Off { embedding: 0.0, gradient: 0.0 });
        let off = reading(&Device::flex(), MatmulPrecision::Bf16);
        assert!(off.embedding > 0.0 && off.embedding <= BF16_READING_SLACK.embedding, "{off:?}");
        assert!(off.gradient > 0.0 && off.gradient <= BF16_READING_SLACK.gradient, "{off:?}");
    }

    #[test]
    fn what_was_not_built_is_said_and_how_to_build_it() {
        let check = |compute: Compute, built: bool, expected: &str| {
            let error = compute.open(MatmulPrecision::F32).map(|processor| processor.name).map_err(|e| e.to_string());
            assert!(built || error.clone().is_err_and(|line| line.starts_with(expected)), "{error:?}");
        };
        check(Compute::Vulkan, cfg!(feature = "vulkan"), "this program was built without vulkan; build it with");
        check(Compute::Cuda, cfg!(feature = "cuda"), "this program was built without cuda; build it with");
    }

    #[test]
    fn a_driver_that_panics_is_one_line() {
        let answer = Compute::Vulkan.answer::<()>(PATIENCE, || panic!("no {}", "adapter"));
        assert_eq!(answer, Err(ComputeError::Broken { compute: Compute::Vulkan, what: "no adapter".to_owned() }));
    }
}
