#!/bin/sh
# Makes all reference cases anew and checks them. The environments are described in README.md:
#
#     KERAS_PYTHON=path/to/keras/bin/python TORCH_PYTHON=path/to/torch/bin/python \
#         LIBROSA_PYTHON=path/to/librosa/bin/python ./all.sh
set -eu
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

for script in layers convolutions pooling normalization sequences recurrent_cells activations losses optimizers schedules metrics scores splits text \
    preprocessing audio images spectral models applications models_conv models_recurrent models_stateful models_gan; do
    "${KERAS_PYTHON:-python}" "$script.py"
done
for script in losses_torch optimizers_torch; do
    "${TORCH_PYTHON:-python}" "$script.py"
done
"${LIBROSA_PYTHON:-python}" audio_librosa.py
"${KERAS_PYTHON:-python}" check.py
