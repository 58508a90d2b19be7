//! Features and labels → the large-margin cosine loss (CosFace, Wang et al. 2018).

use std::collections::HashMap;

use burn::module::Param;
use burn::nn::Initializer;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use crate::rng::Rng;

/// One unit direction per training person.
#[derive(Module, Debug)]
pub struct Margin {
    classes: Param<Tensor<2>>,
}

/// The classes of a batch.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The classes of the loss; all of them if none are named.
    among: Option<Vec<i64>>,
    /// The true class of each crop, an index into them.
    labels: Vec<i64>,
}

impl Targets {
    /// All `people`, or, if they are more than `most`, those of the batch and others by chance up to `most` (Partial
    /// FC, An et al. 2021): the cost of a step must not grow with the number of people.
    pub fn new(labels: &[u32], people: usize, most: usize, rng: &mut Rng) -> Self {
        if people <= most {
            return Self { among: None, labels: labels.iter().map(|&label| i64::from(label)).collect() };
        }
        let mut place = HashMap::new();
        let mut among = Vec::new();
        let mut enter = |class: u32| {
            *place.entry(class).or_insert_with(|| {
                among.push(i64::from(class));
                among.len() as i64 - 1
            })
        };
        let labels = labels.iter().map(|&label| enter(label)).collect();
        while enter(rng.below(people) as u32) + 1 < most as i64 {}
        Self { among: Some(among), labels }
    }

    /// Share of rows whose true class has the largest of the cosines.
    pub fn right(&self, cosines: Tensor<2>) -> f32 {
        let best = cosines.argmax(1).into_data().try_to_vec_as::<i64>().unwrap_or_default();
        let hits = best.iter().zip(&self.labels).filter(|(best, label)| best == label).count();
        hits as f32 / self.labels.len() as f32
    }
}

/// Rows of unit length.
pub fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().square().sum_dim(1).add_scalar(1e-12).sqrt();
    x / length
}

impl Margin {
    /// Random directions for `people` classes of `dim` features.
    pub fn new(people: usize, dim: usize, device: &Device) -> Self {
        let init = Initializer::Normal { mean: 0.0, std: 0.05 };
        Self { classes: init.init([people, dim], device) }
    }

    /// The given directions, `[people, dim]`.
    pub fn towards(classes: Tensor<2>) -> Self {
        Self { classes: Param::from_tensor(classes) }
    }

    /// Mean over the batch of −log softmax(`scale`·(cos − `margin` at the true class)) among the classes of `targets`;
    /// also the cosines [N, classes].
    pub fn loss(&self, features: Tensor<2>, targets: &Targets, scale: f32, margin: f32) -> (Tensor<1>, Tensor<2>) {
        let device = features.device();
        let classes = self.classes.val();
        let classes = match &targets.among {
            Some(among) => classes.select(0, Tensor::from_ints(&among[..], &device)),
            None => classes,
        };
        let count = classes.dims()[0];
        let labels = Tensor::<1, Int>::from_ints(&targets.labels[..], &device);
        let cosines = unit(features).matmul(unit(classes).transpose());
        let truth = labels.clone().one_hot::<2>(count).float();
        let logits = (cosines.clone() - truth * margin) * scale;
        let picked = log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1));
        (picked.mean().neg(), cosines.detach())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::values;

    #[test]
    fn the_loss_is_the_formula_by_hand() {
        let device = Device::flex();
        let mut head = Margin::new(2, 2, &device);
        head.classes = head.classes.map(|_| Tensor::from_floats([[2.0, 0.0], [0.0, 3.0]], &device));
        let features = Tensor::from_floats([[3.0, 4.0]], &device); // cosines 0.6, 0.8
        for (scale, margin) in [(1.0f32, 0.0f32), (10.0, 0.35), (30.0, 0.2)] {
            let (loss, _) = head.loss(features.clone(), &Targets { among: None, labels: vec![0] }, scale, margin);
            let (a, b) = (scale * (0.6 - margin), scale * 0.8);
            let wanted = -(a - b - (1.0 + (a - b).exp()).ln());
            let got = values(loss).values[0];
            assert!((got - wanted).abs() < 1e-3, "{got} {wanted}");
        }
    }

    #[test]
    fn a_sample_holds_the_batch_and_others_once_each() {
        let mut rng = Rng::new(5);
        let labels = [17, 3, 17, 999];
        let targets = Targets::new(&labels, 1000, 40, &mut rng);
        let among = targets.among.expect("a sample");
        let mut once = among.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!((among.len(), once.len()), (40, 40));
        assert!(once.iter().all(|&class| class < 1000));
        for (label, at) in labels.iter().zip(&targets.labels) {
            assert_eq!(among[*at as usize], i64::from(*label));
        }
        assert!(Targets::new(&labels, 1000, 1000, &mut rng).among.is_none());
    }

    #[test]
    fn a_sample_of_classes_has_their_loss_and_gradient_alone() {
        let device = Device::flex().autodiff();
        let mut head = Margin::new(5, 3, &device);
        let rows = [[1.0, 0.2, 0.1], [0.3, 1.0, -0.4], [0.1, 0.1, 1.0], [-1.0, 0.5, 0.2], [0.4, -0.7, 0.6]];
        head.classes = head.classes.map(|_| Tensor::from_floats(rows, &device).require_grad());
        let mut few = Margin::new(3, 3, &device);
        few.classes = few.classes.map(|_| Tensor::from_floats([rows[4], rows[1], rows[2]], &device).require_grad());
        let features = Tensor::<2>::from_floats([[0.5, 0.5, 0.7], [0.9, -0.2, 0.3]], &device);
        let sampled = Targets { among: Some(vec![4, 1, 2]), labels: vec![2, 0] };
        let (loss, _) = head.loss(features.clone(), &sampled, 20.0, 0.3);
        let (plain, _) = few.loss(features, &Targets { among: None, labels: vec![2, 0] }, 20.0, 0.3);
        assert_eq!(values(loss.clone()).values, values(plain.clone()).values);
        let gradient = values(head.classes.grad(&loss.backward()).expect("a gradient")).values;
        let wanted = values(few.classes.grad(&plain.backward()).expect("a gradient")).values;
        assert!(gradient[..3].iter().chain(&gradient[9..12]).all(|&g| g == 0.0));
        assert_eq!((&gradient[12..15], &gradient[3..6], &gradient[6..9]), (&wanted[..3], &wanted[3..6], &wanted[6..]));
    }
}
