//! The layers, one kind a file. Defaults, names and layouts are PyTorch's.

pub mod activation;
pub mod attention;
pub mod batch_norm;
pub mod branches;
pub mod conv;
pub mod conv_transpose;
pub mod dropout;
pub mod embedding;
pub mod linear;
pub mod norm;
pub mod pool;
pub mod recurrent;
pub mod residual;
pub mod response_norm;
pub mod shape;

pub use activation::{
    Elu, Gelu, GeluTanh, Hardtanh, LeakyRelu, LogSoftmax, Relu, Relu6, Sigmoid, Silu, Softmax, Softplus, Tanh,
};
pub use attention::{MultiheadAttention, causal_self_attention, multihead_attention};
pub use batch_norm::{BatchNorm, batch_norm1d, batch_norm2d, batch_norm3d};
pub use branches::{Branches, branches};
pub use conv::{Conv, conv1d, conv2d, conv3d};
pub use conv_transpose::{ConvTranspose, conv_transpose1d, conv_transpose2d, conv_transpose3d};
pub use dropout::{Dropout, dropout};
pub use embedding::{Embedding, embedding};
pub use linear::{Linear, linear};
pub use norm::{
    GroupNorm, InstanceNorm, LayerNorm, RmsNorm, group_norm, instance_norm1d, instance_norm2d, instance_norm3d,
    layer_norm, rms_norm,
};
pub use pool::{
    AdaptiveAvgPool, AvgPool, MaxPool, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, avg_pool1d,
    avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d,
};
pub use recurrent::{Recurrent, Sequence, gru, lstm, rnn};
pub use residual::{Residual, residual};
pub use response_norm::{LocalResponseNorm, local_response_norm};
pub use shape::{Flatten, Identity, ReflectionPad, Upsample, reflection_pad1d, reflection_pad2d, reflection_pad3d};
