// SPDX-License-Identifier: Apache-2.0
// A layer's weights in the orders in which the kernels read them: network_view.h.
#pragma once

#include <vector>

#include "kernels/cuda/abi.h"
#include "shared/model_file.h"

namespace auspex::cuda {

LayerView view_of(const AbiLayer& layer);
// Whether it is to be FP16 and has weights that are none.
bool beyond_fp16(const AbiLayer& layer);

// As it is copied to the card. Of what a format lacks there is none.
struct PackedLayer {
  std::vector<uint8_t> weights;  // rows of the one-hot, of an input layer
  std::vector<uint8_t> numbers;  // of an input layer
  std::vector<uint32_t> places;
  std::vector<float> scale, bias;
  uint32_t columns = 0;  // padded
  uint32_t length = 0;   // chunks or steps
};

// number_rows: the layer's last ones. format: kFp32, kBf16, kFp16 or kInt8.
PackedLayer pack_input(const LayerView& layer, uint32_t number_rows, Format format);
PackedLayer pack_columns(const LayerView& layer, Format format);
// The columns become a multiple of `column_step`, which is one of kTileStep.
PackedLayer pack_tiles(const LayerView& layer, Format format, uint32_t column_step = kTileStep);

}  // namespace auspex::cuda
