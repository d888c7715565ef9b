//! Every built-in layer, put through everything that a layer must hold. A new layer is added here.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    clippy::type_complexity,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::unwrap_used
)]

mod checks;
mod registry;

use gradus::check::{LayerCheck, check_layer, check_multi_layer};
use gradus::constraints::Constraint;
use gradus::custom::*;

#[test]
fn dense() -> gradus::Result<()> {
    check_layer(Dense::new(5), &[7])?;
    check_layer(Dense::new(1), &[1])?;
    check_layer(Dense::new(3).activation(Gelu), &[2, 3, 4])?;
    check_layer(Dense::new(4).activation(Softmax), &[6])?;
    check_layer(Dense::new(3).activation(Sigmoid).use_bias(false), &[5])?;
    check_layer(Dense::new(4).activation(Softmax), &[2, 3])?;
    let regularized = Dense::new(3)
        .activation(Tanh)
        .kernel_regularizer(Regularizer::L1L2 { l1: 0.01, l2: 0.1 })
        .bias_regularizer(Regularizer::L2(0.1))
        .activity_regularizer(Regularizer::L2(0.3))
        .kernel_constraint(Constraint::NonNeg)
        .bias_initializer(Initializer::Ones);
    check_layer(regularized, &[4])?;
    // The gradient of a penalty on the output does not go through the loss.
    check_layer(Dense::new(3).activation(Softmax).activity_regularizer(Regularizer::L2(0.3)), &[4])?;
    check_layer(Dense::new(2).trainable(false), &[3])?;
    // Large enough for blocks, edges and several packings.
    check_layer(Dense::new(67).activation(Relu), &[130])
}

#[test]
fn convolutions() -> gradus::Result<()> {
    use Padding::{Causal, Same};
    check_layer(Conv1D::new(3, 2), &[6, 2])?;
    check_layer(Conv1D::new(2, 3).padding(Causal).dilation_rate(2).activation(Gelu), &[7, 3])?;
    check_layer(Conv1D::new(4, 3).strides(2).padding(Same).activation(Softmax), &[7, 2])?;
    check_layer(Conv2D::new(3, 2), &[3, 4, 2])?;
    check_layer(Conv2D::new(4, 1).activation(Tanh), &[3, 2, 5])?;
    check_layer(Conv2D::new(2, (3, 2)).strides((2, 1)).padding(Same).activation(Relu), &[5, 4, 1])?;
    check_layer(Conv2D::new(4, 3).dilation_rate((1, 2)).padding(Same).groups(2).use_bias(false), &[4, 5, 4])?;
    check_layer(Conv2D::new(9, 3).padding(Same).groups(3).activation(Relu), &[3, 3, 3])?;
    check_layer(Conv3D::new(2, 2).activation(Sigmoid), &[3, 2, 3, 2])?;
    check_layer(Conv3D::new(2, (1, 2, 3)).strides((1, 2, 1)).padding(Same), &[2, 3, 3, 2])?;
    let regularized = Conv2D::new(2, 2)
        .activation(Silu)
        .kernel_regularizer(Regularizer::L1L2 { l1: 0.01, l2: 0.1 })
        .bias_regularizer(Regularizer::L2(0.1))
        .activity_regularizer(Regularizer::L2(0.3))
        .kernel_constraint(Constraint::NonNeg)
        .bias_initializer(Initializer::Ones);
    check_layer(regularized, &[3, 3, 2])?;
    check_layer(Conv2D::new(2, 2).trainable(false), &[3, 3, 2])?;
    // Large enough for several tiles and panels.
    check_layer(Conv2D::new(37, 3).activation(Relu), &[5, 6, 9])
}

#[test]
fn transposed_convolutions() -> gradus::Result<()> {
    use Padding::Same;
    check_layer(Conv1DTranspose::new(3, 2), &[4, 2])?;
    check_layer(Conv1DTranspose::new(2, 3).strides(2).output_padding(1).activation(Gelu), &[3, 3])?;
    check_layer(Conv2DTranspose::new(3, 2).strides(3), &[2, 3, 2])?;
    check_layer(Conv2DTranspose::new(2, (4, 3)).strides(2).padding(Same).activation(Relu), &[3, 2, 3])?;
    check_layer(Conv2DTranspose::new(2, 3).strides(2).padding(Same).output_padding((0, 1)), &[3, 2, 2])?;
    check_layer(Conv2DTranspose::new(2, 2).dilation_rate((1, 2)).use_bias(false), &[2, 3, 2])?;
    check_layer(Conv3DTranspose::new(2, 2).strides((1, 2, 1)).activation(Softmax), &[2, 2, 2, 2])
}

#[test]
fn depthwise_and_separable_convolutions() -> gradus::Result<()> {
    use Padding::Same;
    check_layer(DepthwiseConv1D::new(3).depth_multiplier(2), &[5, 3])?;
    check_layer(DepthwiseConv1D::new(2).strides(2).activation(Tanh), &[5, 1])?;
    check_layer(DepthwiseConv2D::new(3).padding(Same).activation(Relu), &[4, 3, 5])?;
    check_layer(DepthwiseConv2D::new((2, 3)).depth_multiplier(3).dilation_rate(2).padding(Same), &[4, 5, 2])?;
    check_layer(DepthwiseConv2D::new(2).strides(2).use_bias(false), &[4, 4, 17])?;
    check_layer(SeparableConv1D::new(3, 2).activation(Gelu), &[5, 2])?;
    check_layer(SeparableConv1D::new(2, 3).padding(Same).strides(2).depth_multiplier(2), &[6, 2])?;
    check_layer(SeparableConv2D::new(4, 3).padding(Same).activation(Relu), &[4, 3, 3])?;
    check_layer(SeparableConv2D::new(3, 2).depth_multiplier(2).use_bias(false).activation(Softmax), &[3, 4, 2])?;
    let regularized = SeparableConv2D::new(2, 2)
        .depthwise_regularizer(Regularizer::L2(0.1))
        .pointwise_regularizer(Regularizer::L1(0.1))
        .bias_regularizer(Regularizer::L2(0.1));
    check_layer(regularized, &[3, 3, 1])
}

#[test]
fn activations() -> gradus::Result<()> {
    let each = [
        Linear,
        Relu,
        ReluWith { max_value: Some(2.0), negative_slope: 0.1, threshold: 0.5 },
        ReluWith { max_value: None, negative_slope: 0.0, threshold: 0.0 },
        LeakyRelu { negative_slope: 0.2 },
        Relu6,
        Elu { alpha: 1.0 },
        Elu { alpha: 0.4 },
        Selu,
        Celu { alpha: 1.3 },
        Gelu,
        GeluTanh,
        Sigmoid,
        HardSigmoid,
        Activation::HardSigmoidWith { slope: 0.2 },
        LogSigmoid,
        Tanh,
        HardTanh,
        TanhShrink,
        Softmax,
        LogSoftmax,
        SoftmaxOver { axis: 1 },
        LogSoftmaxOver { axis: -2 },
        Softplus,
        Softsign,
        Silu,
        HardSilu,
        Mish,
        Exponential,
    ];
    for activation in each {
        let shape: &[usize] = if matches!(activation, LogSoftmaxOver { .. }) { &[3, 4] } else { &[5] };
        LayerCheck::new(shape).range(-7.0, 7.0).check(activation.clone())?;
        check_layer(activation.clone(), &[2, 3, 4])?;
        check_layer(Dense::new(3).activation(activation), &[2, 4])?;
    }
    Ok(())
}

#[test]
fn activation_layers() -> gradus::Result<()> {
    check_layer(ReLU::new(), &[5])?;
    LayerCheck::new(&[5]).range(-7.0, 7.0).check(ReLU::new().max_value(2.0).negative_slope(0.1).threshold(0.5))?;
    check_layer(LeakyReLU::new(), &[2, 3])?;
    check_layer(ELU::new().alpha(0.5), &[5])?;
    check_layer(PReLU::new(), &[5])?;
    check_layer(PReLU::new().shared_axes([1, 2]), &[2, 3, 4])?;
    check_layer(PReLU::new().alpha_regularizer(Regularizer::L2(0.1)), &[2, 3])?;
    check_layer(SoftmaxLayer::new(), &[5])?;
    check_layer(SoftmaxLayer::new().axis(1), &[3, 4])?;
    check_layer(SoftmaxLayer::new().axis([-1, -2]), &[2, 3, 4])?;
    check_layer(ActivityRegularization::new().l1(0.1).l2(0.2), &[5])?;
    check_layer(Identity::new(), &[2, 3])?;
    check_layer(Rescaling::new(2.5).offset(-1.0), &[2, 3])
}

#[test]
fn noise() -> gradus::Result<()> {
    check_layer(Dropout::new(0.4), &[7])?;
    check_layer(Dropout::new(0.4).seed(3).name("drop"), &[3, 4])?;
    check_layer(Dropout::new(0.5).noise_shape([None, Some(1), None]), &[3, 4])?;
    check_layer(Dropout::new(0.0), &[7])?;
    check_layer(SpatialDropout1D::new(0.4), &[3, 4])?;
    check_layer(SpatialDropout2D::new(0.4), &[2, 3, 4])?;
    check_layer(SpatialDropout3D::new(0.4), &[2, 2, 3, 4])?;
    check_layer(GaussianNoise::new(0.3), &[7])?;
    check_layer(GaussianDropout::new(0.3), &[7])?;
    check_layer(AlphaDropout::new(0.3), &[3, 4])
}

#[test]
fn merges() -> gradus::Result<()> {
    let pair: [&[usize]; 2] = [&[2, 3], &[2, 3]];
    let spread: [&[usize]; 3] = [&[2, 3], &[1, 3], &[3]];
    check_multi_layer(Add::new(), &pair)?;
    check_multi_layer(Subtract::new(), &pair)?;
    check_multi_layer(Multiply::new(), &pair)?;
    check_multi_layer(Average::new(), &pair)?;
    check_multi_layer(Maximum::new(), &pair)?;
    check_multi_layer(Minimum::new(), &pair)?;
    check_multi_layer(Add::new(), &spread)?;
    check_multi_layer(Multiply::new(), &spread)?;
    check_multi_layer(Average::new(), &spread)?;
    check_multi_layer(Maximum::new(), &spread)?;
    check_multi_layer(Minimum::new(), &spread)?;
    check_multi_layer(Concatenate::new(), &[&[2, 3], &[2, 1], &[2, 4]])?;
    check_multi_layer(Concatenate::new().axis(1), &[&[2, 3], &[1, 3]])?;
    check_multi_layer(Dot::new(1), &[&[4], &[4]])?;
    check_multi_layer(Dot::new([2, 1]), &[&[2, 3], &[3, 4]])?;
    check_multi_layer(Dot::new([1, 1]).normalize(true), &[&[3], &[3]])
}

#[test]
fn an_activation_of_ones_own() -> gradus::Result<()> {
    let square = Activation::Custom(CustomActivation::new("square", |x| x * x, |x| 2.0 * x));
    check_layer(square.clone(), &[4])?;
    check_layer(Dense::new(3).activation(square), &[4])
}

#[test]
fn shapes() -> gradus::Result<()> {
    check_layer(Flatten::new(), &[3, 4])?;
    check_layer(Flatten::new(), &[5])?;
    check_layer(Reshape::new([2, -1]), &[3, 4])?;
    check_layer(Reshape::new([12]), &[3, 4])?;
    check_layer(Permute::new([2, 1]), &[3, 4])?;
    check_layer(Permute::new([3, 1, 2]), &[2, 3, 4])?;
    check_layer(Permute::new([1]), &[4])?;
    check_layer(RepeatVector::new(3), &[4])?;
    check_layer(RepeatVector::new(1), &[1])
}

#[test]
fn pooling() -> gradus::Result<()> {
    check_layer(MaxPool1D::new(), &[5, 3])?;
    check_layer(MaxPool1D::new().pool_size(3).strides(1).padding(Same), &[4, 2])?;
    check_layer(MaxPool2D::new(), &[4, 6, 3])?;
    check_layer(MaxPool2D::new().pool_size([3, 2]).strides(1), &[5, 4, 2])?;
    check_layer(MaxPool2D::new().pool_size(3).strides((2, 1)).padding(Same), &[5, 4, 9])?;
    check_layer(MaxPool2D::new().pool_size(2).strides(3).data_format(DataFormat::ChannelsLast), &[6, 7, 1])?;
    check_layer(MaxPool3D::new(), &[2, 4, 3, 2])?;
    check_layer(MaxPool3D::new().pool_size((1, 3, 2)).strides(1).padding(Same), &[2, 3, 3, 2])?;
    check_layer(AvgPool1D::new(), &[5, 3])?;
    check_layer(AvgPool1D::new().pool_size(3).strides(2).padding(Same), &[4, 2])?;
    check_layer(AvgPool2D::new(), &[4, 6, 3])?;
    check_layer(AvgPool2D::new().pool_size([3, 2]).strides(1), &[5, 4, 2])?;
    check_layer(AvgPool2D::new().pool_size(3).strides(2).padding(Same), &[5, 4, 9])?;
    check_layer(AvgPool3D::new(), &[2, 4, 3, 2])?;
    check_layer(AvgPool3D::new().pool_size(2).strides(1).padding(Same), &[2, 3, 3, 2])?;
    check_layer(GlobalMaxPool1D::new(), &[5, 3])?;
    check_layer(GlobalMaxPool2D::new().keepdims(true), &[3, 4, 2])?;
    check_layer(GlobalMaxPool3D::new(), &[2, 3, 2, 3])?;
    check_layer(GlobalAvgPool1D::new().keepdims(true), &[5, 3])?;
    check_layer(GlobalAvgPool2D::new(), &[3, 4, 2])?;
    check_layer(GlobalAvgPool3D::new().keepdims(true), &[2, 3, 2, 3])
}

#[test]
fn normalization_by_known_statistics() -> gradus::Result<()> {
    let known = |n: usize| {
        let values: Vec<f64> = (0..n).map(|i| 0.5 + i as f64).collect();
        Normalization::new().mean(values.clone()).variance(values)
    };
    check_layer(known(4), &[3, 4])?;
    check_layer(known(4).invert(true), &[4])?;
    check_layer(known(6).axis([1, 3]), &[2, 5, 3])?;
    check_layer(known(5).axis(-2).name("scaled"), &[2, 5, 3])?;
    check_layer(Normalization::new().whole().mean(0.5).variance(2.0), &[7])
}

#[test]
fn normalization() -> gradus::Result<()> {
    check_layer(BatchNormalization::new(), &[5])?;
    check_layer(BatchNormalization::new().momentum(0.7).epsilon(0.1), &[3, 2, 9])?;
    check_layer(BatchNormalization::new().axis(1), &[3, 4])?;
    check_layer(BatchNormalization::new().axis(-2), &[2, 3, 4])?;
    check_layer(BatchNormalization::new().scale(false), &[4])?;
    check_layer(BatchNormalization::new().center(false).gamma_regularizer(Regularizer::L2(0.1)), &[4])?;
    check_layer(BatchNormalization::new().center(false).scale(false), &[2, 3])?;
    check_layer(BatchNormalization::new().trainable(false), &[2, 3])?;
    check_layer(GroupNormalization::new().groups(2), &[3, 4])?;
    check_layer(GroupNormalization::new().groups(-1), &[3, 2, 4])?;
    check_layer(GroupNormalization::new().groups(1).epsilon(0.1).scale(false), &[6])?;
    check_layer(GroupNormalization::new().groups(3).axis(1).center(false), &[6, 2, 3])?;
    check_layer(LayerNormalization::new(), &[5])?;
    check_layer(LayerNormalization::new().axis([1, 2, 3]), &[2, 3, 2])?;
    check_layer(LayerNormalization::new().axis([1, -1]).epsilon(0.1), &[2, 3, 2])?;
    check_layer(LayerNormalization::new().axis(1).center(false), &[4, 3])?;
    check_layer(LayerNormalization::new().scale(false), &[2, 40])?;
    check_layer(LayerNormalization::new().center(false).scale(false), &[3])?;
    check_layer(LayerNormalization::new().rms_scaling(true), &[3, 5])?;
    check_layer(RMSNormalization::new(), &[5])?;
    check_layer(RMSNormalization::new().axis([2, 3]).epsilon(0.1), &[2, 3, 4])?;
    check_layer(RMSNormalization::new().axis(1), &[4, 3])?;
    check_layer(UnitNormalization::new(), &[5])?;
    check_layer(UnitNormalization::new().axis([1, 2]), &[3, 4])?;
    check_layer(UnitNormalization::new().axis(1), &[3, 4])
}

#[test]
fn padding_cropping_and_enlarging() -> gradus::Result<()> {
    check_layer(ZeroPadding1D::new(), &[3, 2])?;
    check_layer(ZeroPadding1D::new().padding([0, 3]), &[3, 2])?;
    check_layer(ZeroPadding2D::new().padding([1, 2]), &[3, 2, 2])?;
    check_layer(ZeroPadding2D::new().padding([[1, 0], [0, 2]]), &[3, 2, 2])?;
    check_layer(ZeroPadding3D::new().padding([0, 1, 2]), &[2, 3, 2, 2])?;
    check_layer(Cropping1D::new(), &[5, 2])?;
    check_layer(Cropping1D::new().cropping([0, 2]), &[3, 2])?;
    check_layer(Cropping2D::new(), &[3, 4, 2])?;
    check_layer(Cropping2D::new().cropping([[1, 0], [0, 2]]), &[3, 4, 2])?;
    check_layer(Cropping3D::new().cropping([[0, 1], [1, 1], [2, 0]]), &[2, 3, 4, 2])?;
    check_layer(UpSampling1D::new().size(3), &[3, 2])?;
    check_layer(UpSampling2D::new(), &[3, 2, 9])?;
    check_layer(UpSampling2D::new().size([1, 3]), &[3, 2, 2])?;
    check_layer(UpSampling2D::new().size([3, 2]).interpolation(Interpolation::Bilinear), &[3, 4, 2])?;
    check_layer(UpSampling2D::new().interpolation(Interpolation::Bilinear), &[1, 2, 9])?;
    check_layer(UpSampling3D::new().size([2, 1, 3]), &[2, 3, 2, 2])
}

#[test]
fn what_holds_a_function_of_ones_own_is_not_saved_as_something_else() -> gradus::Result<()> {
    /// Halves the rate at every step, and has no configuration.
    #[derive(Debug)]
    struct Halving;
    impl Schedule for Halving {
        fn rate(&self, step: u64) -> f64 {
            0.5f64.powf(step as f64)
        }
    }
    let square = Activation::Custom(CustomActivation::new("square", |x| x * x, |x| 2.0 * x));
    let model = Sequential::new().input([2]).add(Dense::new(3).activation(square)).build()?;
    let refused = model.to_config().unwrap_err().to_string();
    assert!(refused.contains("none from layer `dense` (Dense)"), "{refused}");
    assert!(Optimizer::<f32>::describe(&SGD::new().learning_rate(Halving)).is_none());
    assert!(Optimizer::<f32>::describe(&SGD::new().learning_rate(0.5)).is_some());
    Ok(())
}

/// Every option of a recurrent layer off its default, one after another.
macro_rules! recurrent_options {
    ($layer:ident) => {
        [
            $layer::new(3),
            $layer::new(1),
            $layer::new(17).return_sequences(true),
            $layer::new(3).return_state(true),
            $layer::new(3).return_sequences(true).return_state(true).go_backwards(true),
            $layer::new(3).use_bias(false).go_backwards(true),
            $layer::new(3).activation(Gelu),
            $layer::new(2).activation(Linear).zero_output_for_mask(true),
            $layer::new(4).dropout(0.3).recurrent_dropout(0.4),
            $layer::new(2).dropout(0.5).seed(3).return_sequences(true),
            $layer::new(2).trainable(false),
            $layer::new(3)
                .kernel_initializer(Initializer::HeNormal)
                .recurrent_initializer(Initializer::Identity { gain: 0.5 })
                .bias_initializer(Initializer::Ones)
                .kernel_regularizer(Regularizer::L2(0.1))
                .recurrent_regularizer(Regularizer::L2(0.2))
                .bias_regularizer(Regularizer::L2(0.3))
                .activity_regularizer(Regularizer::L2(0.1))
                .kernel_constraint(Constraint::NonNeg)
                .recurrent_constraint(Constraint::NonNeg)
                .bias_constraint(Constraint::NonNeg),
        ]
    };
}

#[test]
fn simple_recurrent_layers() -> gradus::Result<()> {
    for layer in recurrent_options!(RNN) {
        check_multi_layer(layer, &[&[4, 2]])?;
    }
    check_multi_layer(RNN::new(3), &[&[1, 1]])?;
    check_multi_layer(RNN::new(3).return_state(true), &[&[4, 2], &[3]])
}

#[test]
fn lstm() -> gradus::Result<()> {
    for layer in recurrent_options!(LSTM) {
        check_multi_layer(layer, &[&[4, 2]])?;
    }
    check_multi_layer(LSTM::new(3).recurrent_activation(HardTanh).unit_forget_bias(false), &[&[3, 2]])?;
    check_multi_layer(LSTM::new(3), &[&[1, 1]])?;
    check_multi_layer(LSTM::new(3).return_state(true), &[&[4, 2], &[3], &[3]])
}

#[test]
fn gru() -> gradus::Result<()> {
    for layer in recurrent_options!(GRU) {
        check_multi_layer(layer.clone().reset_after(false), &[&[4, 2]])?;
        check_multi_layer(layer, &[&[4, 2]])?;
    }
    for reset_after in [true, false] {
        let layer = GRU::new(3).reset_after(reset_after);
        check_multi_layer(layer.clone().recurrent_activation(Silu), &[&[3, 2]])?;
        check_multi_layer(layer.clone(), &[&[1, 1]])?;
        check_multi_layer(layer.return_state(true), &[&[4, 2], &[3]])?;
    }
    Ok(())
}

#[test]
fn bidirectional() -> gradus::Result<()> {
    for mode in [Some(MergeMode::Concat), Some(MergeMode::Sum), Some(MergeMode::Mul), Some(MergeMode::Ave), None] {
        check_multi_layer(Bidirectional::new(LSTM::new(2)).merge_mode(mode), &[&[3, 2]])?;
        let gru = GRU::new(2).return_sequences(true).return_state(true).dropout(0.3);
        check_multi_layer(Bidirectional::new(gru).merge_mode(mode), &[&[3, 2]])?;
    }
    let other = GRU::new(3).go_backwards(true);
    check_multi_layer(Bidirectional::new(RNN::new(2)).backward_layer(other), &[&[3, 2]])?;
    check_multi_layer(Bidirectional::new(LSTM::new(2).go_backwards(true)), &[&[3, 2], &[2], &[2], &[2], &[2]])
}

/// A cell whose output is a tensor of its own, whose states have two ranks, and that drops of the inputs: a sum of the
/// inputs s (features), and of all of them n (); y = (s·w, n), with w (features).
#[derive(Clone, Debug)]
struct Sums;

impl<F: Scalar> RecurrentCell<F> for Sums {
    type Cache = ();
    type Sequence = SequenceDropout<F>;

    fn shapes(&self, input: &[usize]) -> gradus::Result<CellShapes> {
        Ok(CellShapes::new([input.to_vec(), vec![]]).output([2]))
    }

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<()> {
        params.add("w", input, Initializer::Ones).map(|_| ())
    }

    fn begin(&self, rows: usize, input: &[usize], drop: &mut SequenceDropout<F>, cx: &Context<'_, F>) {
        drop.draw(0.4, None, 0, rows, input.iter().product(), cx);
    }

    fn forward(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        mut after: StatesMut<'_, F>,
        y: Option<ViewMut<'_, F>>,
        memory: CellMemory<'_, (), SequenceDropout<F>>,
        cx: &Context<'_, F>,
    ) {
        let (w, mut y) = (cx.params.get("w"), y.expect("an output of its own"));
        let [mut s, mut n] = after.several([0, 1]);
        s.copy_from_slice(&x);
        memory.sequence.apply(&mut s);
        for row in 0..x.rows() {
            let s = &mut s[row * w.len()..][..w.len()];
            n[row] = before.get(1)[row] + s.iter().copied().sum();
            s.iter_mut().zip(&before.get(0)[row * w.len()..]).for_each(|(s, &before)| *s += before);
            y[2 * row] = s.iter().zip(w).map(|(&s, &w)| s * w).sum();
            y[2 * row + 1] = n[row];
        }
    }

    fn backward(
        &self,
        step: CellStep<'_, F>,
        mut grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        memory: CellMemory<'_, (), SequenceDropout<F>>,
        cx: &Context<'_, F>,
    ) {
        let (w, of_y) = (cx.params.get("w"), grad.y.expect("an output of its own"));
        let [of_s, of_n] = [grad.after.read().get(0), grad.after.read().get(1)];
        let [mut s_before, mut n_before] = grad.before.several([0, 1]);
        for row in 0..of_n.rows() {
            n_before[row] = of_n[row] + of_y[2 * row + 1];
            for (c, &w) in w.iter().enumerate() {
                let at = row * cx.params.get("w").len() + c;
                grads.get_mut("w")[c] += of_y[2 * row] * step.after.get(0)[at];
                s_before[at] = of_s[at] + of_y[2 * row] * w;
                if let Some(grad_x) = &mut grad.x {
                    grad_x[at] = s_before[at] + n_before[row];
                }
            }
        }
        if let Some(grad_x) = &mut grad.x {
            memory.sequence.apply(grad_x);
        }
    }
}

#[test]
fn recurrent_layers_of_any_cell() -> gradus::Result<()> {
    check_multi_layer(RNN::of(LSTMCell::new(3)).return_sequences(true), &[&[4, 2]])?;
    check_multi_layer(RNN::of(GRUCell::new(3).dropout(0.3)).go_backwards(true), &[&[4, 2]])?;
    check_multi_layer(RNN::of(SimpleRNNCell::new(3).name("cell").trainable(false)), &[&[4, 2], &[3]])?;
    for layer in [
        RNN::of(Sums),
        RNN::of(Sums).return_sequences(true).return_state(true),
        RNN::of(Sums).go_backwards(true).zero_output_for_mask(true),
    ] {
        check_multi_layer(layer.clone(), &[&[4, 3]])?;
        check_multi_layer(layer.clone(), &[&[3, 2, 2], &[2, 2], &[]])?;
        check_multi_layer(layer, &[&[1, 1]])?;
    }
    Ok(())
}

#[test]
fn stacked_cells() -> gradus::Result<()> {
    let all = StackedRNNCells::new()
        .add(LSTMCell::new(3).dropout(0.2).recurrent_dropout(0.3))
        .add(GRUCell::new(2).reset_after(false).dropout(0.2))
        .add(SimpleRNNCell::new(4).activation(Gelu));
    for layer in [
        RNN::of(all.clone()),
        RNN::of(all.clone()).return_sequences(true).return_state(true),
        RNN::of(StackedRNNCells::new().add(Sums).add(GRUCell::new(2)).add(Sums)).return_sequences(true),
        RNN::of(
            StackedRNNCells::new().add(StackedRNNCells::new().add(GRUCell::new(2)).add(Sums)).add(LSTMCell::new(1)),
        ),
        RNN::of(StackedRNNCells::new().add(LSTMCell::new(3))).go_backwards(true),
    ] {
        check_multi_layer(layer, &[&[4, 2]])?;
    }
    check_multi_layer(RNN::of(all), &[&[3, 2], &[3], &[3], &[2], &[4]])
}

#[test]
fn convolutional_lstm() -> gradus::Result<()> {
    for layer in [
        ConvLSTM1D::new(2, 3),
        ConvLSTM1D::new(2, 2).padding(Same).return_sequences(true).return_state(true),
        ConvLSTM1D::new(1, 2).strides(2).go_backwards(true).recurrent_activation(HardSigmoid),
        ConvLSTM1D::new(2, 2).dilation_rate(2).padding(Same).use_bias(false).unit_forget_bias(false),
        ConvLSTM1D::new(2, 2).dropout(0.3).recurrent_dropout(0.4).activation(Gelu),
    ] {
        check_multi_layer(layer, &[&[3, 5, 2]])?;
    }
    check_multi_layer(ConvLSTM2D::new(2, (2, 3)).padding(Same).return_sequences(true), &[&[3, 3, 4, 1]])?;
    check_multi_layer(ConvLSTM2D::new(2, 2).strides((1, 2)), &[&[2, 3, 4, 2], &[2, 2, 2], &[2, 2, 2]])?;
    let regularized = ConvLSTM2D::new(1, 2)
        .kernel_initializer(Initializer::HeNormal)
        .recurrent_initializer(Initializer::GlorotNormal)
        .bias_initializer(Initializer::Ones)
        .kernel_regularizer(Regularizer::L2(0.1))
        .recurrent_regularizer(Regularizer::L2(0.2))
        .bias_regularizer(Regularizer::L2(0.3))
        .activity_regularizer(Regularizer::L2(0.1))
        .kernel_constraint(Constraint::NonNeg)
        .recurrent_constraint(Constraint::NonNeg)
        .bias_constraint(Constraint::NonNeg);
    check_multi_layer(regularized, &[&[2, 3, 3, 1]])?;
    check_multi_layer(ConvLSTM3D::new(2, 2).padding(Same), &[&[2, 2, 3, 2, 1]])?;
    let cells = StackedRNNCells::new().add(ConvLSTM2DCell::new(2, 2)).add(ConvLSTM2DCell::new(1, 1));
    check_multi_layer(RNN::of(cells).return_sequences(true), &[&[2, 3, 3, 1]])
}

#[test]
fn bidirectional_of_any_layer() -> gradus::Result<()> {
    for mode in [Some(MergeMode::Concat), Some(MergeMode::Mul), Some(MergeMode::Ave), None] {
        check_multi_layer(Bidirectional::new(ConvLSTM1D::new(2, 2).padding(Same)).merge_mode(mode), &[&[2, 3, 1]])?;
        let sums = RNN::of(Sums).return_sequences(true).return_state(true);
        check_multi_layer(Bidirectional::new(sums).merge_mode(mode), &[&[3, 2]])?;
    }
    let images = ConvLSTM2D::new(1, 2).return_sequences(true);
    let other = ConvLSTM2D::new(2, 2).return_sequences(true).go_backwards(true);
    check_multi_layer(Bidirectional::new(images).backward_layer(other), &[&[2, 3, 3, 1]])?;
    let cells = StackedRNNCells::new().add(GRUCell::new(2)).add(LSTMCell::new(2));
    let pair = Bidirectional::new(RNN::of(cells)).backward_layer(LSTM::new(3).go_backwards(true));
    check_multi_layer(pair, &[&[3, 2], &[2], &[2], &[2], &[3], &[3]])
}

#[test]
fn tokens_and_masks() -> gradus::Result<()> {
    let tokens = |shape: &[usize]| LayerCheck::new(shape).whole_numbers(5);
    tokens(&[4]).check(Embedding::new(5, 3))?;
    tokens(&[4]).check(Embedding::new(5, 3).mask_zero(true))?;
    tokens(&[2, 3]).check(Embedding::new(5, 1).embeddings_regularizer(Regularizer::L2(0.1)))?;
    tokens(&[]).check(Embedding::new(6, 2).mask_zero(true).embeddings_constraint(Constraint::NonNeg))?;
    check_layer(Masking::new().mask_value(-1.0), &[4, 2])?;
    check_multi_layer(WithMask::new(), &[&[4, 2], &[4]])
}

#[test]
fn layers_on_every_timestep() -> gradus::Result<()> {
    let check = |shape: &[usize]| LayerCheck::new(shape);
    let dense = TimeDistributed::new(Dense::new(3).activation(Tanh).kernel_regularizer(Regularizer::L2(0.1)));
    check(&[4, 2]).check_both(dense.clone(), dense)?;
    let flatten = TimeDistributed::new(Flatten::new()).name("flat");
    check(&[4, 2, 3]).check_both(flatten.clone(), flatten)?;
    let dropout = TimeDistributed::new(Dropout::new(0.4));
    check(&[4, 2]).check_both(dropout.clone(), dropout)?;
    let lstm = TimeDistributed::new(LSTM::new(2)).trainable(false);
    check(&[2, 3, 2]).check_both(lstm.clone(), lstm)?;
    let turned = TimeDistributed::new(TimeDistributed::new(Permute::new([2, 1])));
    check(&[2, 3, 2, 4]).check_both(turned.clone(), turned)?;
    let merged = TimeDistributed::new(Subtract::new());
    LayerCheck::several(&[&[2, 3], &[2, 3]]).check_both(merged.clone(), merged)?;
    let embedding = TimeDistributed::new(Embedding::new(5, 2));
    check(&[2, 3]).whole_numbers(5).check_both(embedding.clone(), embedding)
}

// Its kernel is divided in each step, and the gradient is that of the divided kernel, which no differences show: the
// kernel is frozen here. Its gradients are held against Keras's in the reference cases.
#[test]
fn spectral_normalization() -> gradus::Result<()> {
    let dense = SpectralNormalization::new(Dense::new(3).activation(Tanh).trainable(false));
    LayerCheck::new(&[4]).check_both(dense.clone(), dense)?;
    let conv = SpectralNormalization::new(Conv2D::new(2, 2).trainable(false)).power_iterations(3);
    LayerCheck::new(&[3, 3, 2]).check_both(conv.clone(), conv)
}

#[test]
fn attention() -> gradus::Result<()> {
    let three: [&[usize]; 3] = [&[2, 3], &[4, 2], &[4, 3]];
    for scale in [false, true] {
        for mode in ["dot", "concat"] {
            let layer = Attention::new().use_scale(scale).score_mode(mode);
            check_multi_layer(layer.clone(), &three)?;
            check_multi_layer(layer.clone().use_causal_mask(true).return_attention_scores(true), &[&[3, 2], &[3, 2]])?;
            check_multi_layer(layer.dropout(0.4), &[&[3, 2]])?;
        }
        let layer = AdditiveAttention::new().use_scale(scale);
        check_multi_layer(layer.clone(), &three)?;
        check_multi_layer(layer.dropout(0.4).return_attention_scores(true).use_causal_mask(true), &[&[3, 2]])?;
    }
    Ok(())
}

#[test]
fn multi_head_attention() -> gradus::Result<()> {
    let three: [&[usize]; 3] = [&[2, 3], &[4, 2], &[4, 5]];
    check_multi_layer(MultiHeadAttention::new(2, 3), &three)?;
    check_multi_layer(MultiHeadAttention::new(1, 2).value_dim(3).output_shape(4).use_bias(false), &[&[2, 3], &[4, 2]])?;
    check_multi_layer(MultiHeadAttention::new(2, 2).use_gate(true).value_dim(1), &[&[3, 4]])?;
    check_multi_layer(MultiHeadAttention::new(2, 2).use_gate(true).use_causal_mask(true), &three)?;
    check_multi_layer(MultiHeadAttention::new(3, 1).sliding_window(2).return_attention_scores(true), &[&[4, 2]])?;
    check_multi_layer(MultiHeadAttention::new(2, 2).dropout(0.4).return_attention_scores(true), &[&[3, 2], &[2, 2]])?;
    check_multi_layer(MultiHeadAttention::new(2, 2).attention_mask(true), &[&[3, 2], &[4, 2], &[3, 4]])?;
    // More axes than one sequence has, of which some are attended over.
    check_multi_layer(MultiHeadAttention::new(2, 2).return_attention_scores(true), &[&[2, 2, 3], &[3, 1, 2]])?;
    let along = |axes: &[isize]| MultiHeadAttention::new(2, 2).attention_axes(axes.to_vec());
    check_multi_layer(along(&[1]).use_gate(true).output_shape(3), &[&[2, 3, 2], &[3, 3, 2], &[3, 3, 1]])?;
    check_multi_layer(along(&[-2]).use_causal_mask(true).dropout(0.4), &[&[2, 3, 2], &[2, 2, 3]])?;
    check_multi_layer(along(&[3, 1]).return_attention_scores(true), &[&[2, 2, 3, 2], &[1, 2, 2, 2]])?;
    check_multi_layer(along(&[1]).attention_mask(true), &[&[2, 3, 2], &[2, 3, 2], &[2, 2]])?;
    check_multi_layer(along(&[1]).attention_mask(true), &[&[2, 3, 2], &[2, 3, 2], &[3, 2, 2]])?;
    let regularized = MultiHeadAttention::new(2, 2)
        .kernel_regularizer(Regularizer::L2(0.1))
        .bias_regularizer(Regularizer::L2(0.2))
        .kernel_constraint(Constraint::NonNeg)
        .bias_initializer(Initializer::Ones);
    check_multi_layer(regularized, &[&[3, 2]])
}
