//! Convolution on the processor, forward and backward, in bands of im2col and matrix products, all in NCHW.
//!
//! burn differentiates a convolution by convolutions: for the weights with a kernel as large as the picture, for the
//! input with a transposed one, each with copies into other layouts. Here all three share one way to gather, and
//! products that stay in the cache. On other devices burn's own is used.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::nn::conv::Conv2d;
use burn::prelude::*;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

/// Most bytes of a band of gathered columns: it must fit into the second-level cache.
const BAND_VALUES: usize = 48 * 1024;

/// burn's tensor on the processor.
pub type Plain = FloatTensor<Flex>;

/// A tensor's values in order.
pub fn flat(tensor: &Plain) -> &[f32] {
    tensor.as_slice().expect("what is trained on the processor is contiguous f32")
}

/// Values in the shape of a tensor.
pub fn shaped(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Plain {
    Plain::from_data(burn::tensor::TensorData::new(values, shape.into()))
}

/// [N, C, H, W] → [N, O, ⌈H/s⌉, ⌈W/s⌉], for square kernels padded by half their side.
pub fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let weight = conv.weight.val();
    let stride = conv.stride[0];
    let y = match (x.clone().try_into_primitive::<Autodiff<Flex>>(), weight.try_into_primitive::<Autodiff<Flex>>()) {
        (Ok(x), Ok(weight)) => {
            let (x, x_node) = x.into_parts();
            let (weight, weight_node) = weight.into_parts();
            let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
            let geometry = Geometry::new(x.layout().shape(), weight.layout().shape(), stride);
            let y = shaped(geometry.forward(flat(&x), flat(&weight)), geometry.output_shape());
            let y = match Convolution.prepare::<NoCheckpointing>([x_node, weight_node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish((x, weight, geometry), y),
                OpsKind::UnTracked(prepared) => prepared.finish(y),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(y)
        }
        _ => return conv.forward(x),
    };
    match &conv.bias {
        Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
        None => y,
    }
}

#[derive(Debug)]
struct Convolution;

impl Backward<Flex, 2> for Convolution {
    type State = (Plain, Plain, Geometry);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight, geometry) = ops.state;
        let (to_x, to_weight) = geometry.backward(flat(&x), flat(&weight), flat(&gradient), x_node.is_some());
        if let Some(node) = x_node {
            gradients.register::<Flex>(node.id, shaped(to_x, x.layout().shape().to_vec()));
        }
        if let Some(node) = weight_node {
            gradients.register::<Flex>(node.id, shaped(to_weight, weight.layout().shape().to_vec()));
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Geometry {
    pictures: usize,
    input: usize,
    height: usize,
    width: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    rows: usize,
    columns: usize,
}

impl Geometry {
    fn new(x: &[usize], weight: &[usize], stride: usize) -> Self {
        let (kernel, height, width) = (weight[2], x[2], x[3]);
        let along = |side: usize| (side + 2 * (kernel / 2) - kernel) / stride + 1;
        let (rows, columns) = (along(height), along(width));
        Self { pictures: x[0], input: x[1], height, width, output: weight[0], kernel, stride, rows, columns }
    }

    fn output_shape(&self) -> [usize; 4] {
        [self.pictures, self.output, self.rows, self.columns]
    }

    /// Number of input values of one output value.
    fn taps(&self) -> usize {
        self.input * self.kernel * self.kernel
    }

    fn plane(&self) -> usize {
        self.rows * self.columns
    }

    fn input_size(&self) -> usize {
        self.input * self.height * self.width
    }

    /// Output rows that are computed at once.
    fn band(&self) -> usize {
        (BAND_VALUES / (self.taps() * self.columns)).clamp(1, self.rows)
    }

    fn bands(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (step, rows) = (self.band(), self.rows);
        (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
    }

    /// Whether the columns equal the picture.
    fn is_product(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let weight = matrix(weight, self.output);
        let mut y = vec![0.0; self.pictures * self.output * self.plane()];
        y.par_chunks_mut(self.output * self.plane()).zip(x.par_chunks(self.input_size())).for_each_init(
            || self.column_buffer(),
            |buffer, (y, x)| {
                let mut y = matrix_mut(y, self.output);
                for rows in self.bands() {
                    let columns = self.gathered(x, &rows, buffer);
                    let mut part = y.slice_mut(s![.., self.span(&rows)]);
                    general_mat_mul(1.0, &weight, &columns, 0.0, &mut part);
                }
            },
        );
        y
    }

    /// The gradients of the input (empty if it is not wanted) and of the weights.
    fn backward(&self, x: &[f32], weight: &[f32], gradient: &[f32], wants_x: bool) -> (Vec<f32>, Vec<f32>) {
        let size = self.input_size();
        let weight_rows = matrix(weight, self.output);
        let mut to_x = vec![0.0; if wants_x { x.len() } else { 0 }];
        let slots: Vec<&mut [f32]> =
            if wants_x { to_x.chunks_mut(size).collect() } else { (0..self.pictures).map(|_| &mut [][..]).collect() };
        let parts: Vec<Vec<f32>> = slots
            .into_par_iter()
            .zip(x.par_chunks(size))
            .zip(gradient.par_chunks(self.output * self.plane()))
            .map_init(
                || (self.column_buffer(), self.column_buffer()),
                |(buffer, back), ((to_x, x), gradient)| {
                    let gradient = matrix(gradient, self.output);
                    let mut to_weight = vec![0.0; weight.len()];
                    // Not added to zeros: a page that is read before it is written costs the kernel a second fault, and
                    // stops every other processor.
                    let mut before = 0.0;
                    for rows in self.bands() {
                        let gradient = gradient.slice(s![.., self.span(&rows)]);
                        let columns = self.gathered(x, &rows, buffer);
                        let mut sum = matrix_mut(&mut to_weight, self.output);
                        general_mat_mul(1.0, &gradient, &columns.t(), before, &mut sum);
                        before = 1.0;
                        if wants_x {
                            let used = &mut back[..self.taps() * rows.len() * self.columns];
                            general_mat_mul(1.0, &weight_rows.t(), &gradient, 0.0, &mut matrix_mut(used, self.taps()));
                            self.scatter(used, &rows, to_x);
                        }
                    }
                    to_weight
                },
            )
            .collect();
        // In the order of the pictures, independent of the threads.
        let mut to_weight = vec![0.0; weight.len()];
        for part in &parts {
            to_weight.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        (to_x, to_weight)
    }

    /// The range of these rows in an output plane.
    fn span(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.columns..rows.end * self.columns
    }

    fn column_buffer(&self) -> Vec<f32> {
        vec![0.0; self.taps() * self.band() * self.columns]
    }

    /// [taps, rows·columns]: for each tap its input at each output position; zero outside the picture.
    fn gathered<'a>(&self, x: &'a [f32], rows: &Range<usize>, buffer: &'a mut [f32]) -> ArrayView2<'a, f32> {
        if self.is_product() {
            return matrix(x, self.input).slice_move(s![.., self.span(rows)]);
        }
        let used = &mut buffer[..self.taps() * rows.len() * self.columns];
        let mut lines = used.chunks_exact_mut(self.columns);
        self.for_each_line(rows, |source, inside, first| {
            let line = lines.next().expect("there is a line for each tap and row");
            let Some(source) = source else { return line.fill(0.0) };
            let source = &x[source];
            line[..inside.start].fill(0.0);
            line[inside.end..].fill(0.0);
            let line = &mut line[inside];
            if self.stride == 1 {
                line.copy_from_slice(&source[first..first + line.len()]);
            } else {
                line.iter_mut().zip(source[first..].iter().step_by(self.stride)).for_each(|(to, from)| *to = *from);
            }
        });
        matrix(used, self.taps())
    }

    /// Adds each value of `gathered` to the input value from which it was gathered.
    fn scatter(&self, columns: &[f32], rows: &Range<usize>, to_x: &mut [f32]) {
        let mut lines = columns.chunks_exact(self.columns);
        self.for_each_line(rows, |target, inside, first| {
            let line = lines.next().expect("there is a line for each tap and row");
            let Some(target) = target else { return };
            let target = &mut to_x[target][first..];
            let line = &line[inside];
            if self.stride == 1 {
                target.iter_mut().zip(line).for_each(|(to, from)| *to += from);
            } else {
                target.iter_mut().step_by(self.stride).zip(line).for_each(|(to, from)| *to += from);
            }
        });
    }

    /// Calls `f` with the input line of a tap for an output row (if it is inside), the output columns whose input is
    /// inside, and the place of the first of these in the line.
    fn for_each_line(&self, rows: &Range<usize>, mut call: impl FnMut(Option<Range<usize>>, Range<usize>, usize)) {
        let pad = self.kernel / 2;
        for channel in 0..self.input {
            for ky in 0..self.kernel {
                for kx in 0..self.kernel {
                    let start = pad.saturating_sub(kx).div_ceil(self.stride).min(self.columns);
                    let end = ((self.width + pad - kx).div_ceil(self.stride)).clamp(start, self.columns);
                    for row in rows.clone() {
                        let y = (row * self.stride + ky).checked_sub(pad).filter(|&y| y < self.height);
                        let line = y.map(|y| {
                            let line = (channel * self.height + y) * self.width;
                            line..line + self.width
                        });
                        call(line, start..end, (start * self.stride + kx).saturating_sub(pad));
                    }
                }
            }
        }
    }
}

fn matrix(values: &[f32], rows: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, values.len() / rows), values).expect("the values fill the rows")
}

fn matrix_mut(values: &mut [f32], rows: usize) -> ArrayViewMut2<'_, f32> {
    let columns = values.len() / rows;
    ArrayViewMut2::from_shape((rows, columns), values).expect("the values fill the rows")
}

#[cfg(test)]
pub mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::layers::{conv, conv_biased, values};

    /// Largest difference over largest value.
    pub fn apart<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        let (a, b) = (values(a), values(b));
        assert_eq!(a.shape, b.shape);
        let most = |all: &mut dyn Iterator<Item = f32>| all.fold(0.0f32, |m, v| m.max(v.abs()));
        let size = most(&mut b.values.iter().copied());
        most(&mut a.values.iter().zip(&b.values).map(|(a, b)| a - b)) / size.max(1e-6)
    }

    #[test]
    fn it_is_burns_convolution_and_so_are_its_gradients() {
        let device = Device::flex().autodiff();
        for (pictures, input, output, side, kernel, stride) in [
            (2, 3, 8, [33, 20], 3, 2),
            (3, 8, 5, [12, 31], 3, 1),
            (1, 24, 20, [7, 6], 3, 1),
            (2, 6, 7, [9, 8], 1, 1),
            (2, 6, 7, [9, 8], 1, 2),
            (1, 2, 3, [1, 1], 3, 2),
            (1, 64, 16, [80, 70], 3, 1),
        ] {
            let block = match output {
                20 => conv_biased(input, output, kernel, &device),
                _ => conv(input, output, kernel, stride, &device),
            };
            let shape = [pictures, input, side[0], side[1]];
            let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad();
            let (ours, theirs) = (convolve(&block, x.clone()), block.forward(x.clone()));
            let weights = Tensor::<4>::random(theirs.dims(), Distribution::Normal(0.0, 1.0), &device);
            assert!(apart(ours.clone(), theirs.clone()) < 1e-4, "{shape:?}");
            let (ours, theirs) = ((ours * weights.clone()).sum().backward(), (theirs * weights).sum().backward());
            let gradients = |all| (x.grad(all).expect("x"), block.weight.val().grad(all).expect("weight"));
            let ((x1, w1), (x2, w2)) = (gradients(&ours), gradients(&theirs));
            assert!(apart(x1, x2) < 1e-4, "{shape:?} input");
            assert!(apart(w1, w2) < 1e-4, "{shape:?} weights");
            if let Some(bias) = &block.bias {
                let of = |all| bias.val().grad(all).expect("bias");
                assert!(apart(of(&ours), of(&theirs)) < 1e-4, "{shape:?} bias");
            }
        }
    }
}
