// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "kernels/packed.h"
#include "kernels/rounding.h"

namespace auspex::cuda {
namespace {

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// To nearest, ties to even; of none beyond the largest finite one.
uint16_t fp16_of(float value) {
  const float size = std::abs(value);
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  // Below 2^-14 the last digit stays worth 2^-24.
  const int exponent = size > 0 ? std::max(std::ilogb(size), -14) : -14;
  const double digits = std::nearbyint(std::ldexp(static_cast<double>(size), 10 - exponent));
  const auto whole = static_cast<uint32_t>(digits);  // [0, 2048]
  const uint32_t raised = whole >= 1024 ? static_cast<uint32_t>(exponent + 14) << 10 : 0;
  return static_cast<uint16_t>(sign | (raised + whole));
}

uint32_t tf32_of(float value) {
  return (bits_of(value) + 0x1000) & ~0x1fffU;
}

// A layer's weights as bits of one format, row by row; nothing behind its rows and columns.
class Elements {
 public:
  Elements(const LayerView& layer, Format format) : layer_(layer), format_(format) {
    if (!is_integer(format)) return;
    const Precision precision = format == Format::kInt8   ? Precision::kInt8
                                : format == Format::kInt4 ? Precision::kInt4
                                                          : Precision::kInt8Pairs;
    rounded_ = rounded(layer, layer.inputs, precision);
  }

  uint32_t at(uint32_t row, uint32_t column) const {
    if (row >= layer_.inputs || column >= layer_.outputs) return 0;
    const size_t place = size_t{row} * layer_.outputs + column;
    switch (format_) {
      case Format::kFp32:
        return bits_of(layer_.weights[place]);
      case Format::kTf32:
        return tf32_of(layer_.weights[place]);
      case Format::kBf16:
        return bf16_of(layer_.weights[place]);
      case Format::kFp16:
        return fp16_of(layer_.weights[place]);
      case Format::kInt4:
        return static_cast<uint32_t>(rounded_.values[place]) & 0xf;
      default:
        return static_cast<uint8_t>(rounded_.values[place]);
    }
  }

  // Padded with zeros; none of what is no integer.
  std::vector<float> scales(uint32_t columns, float factor = 1) const {
    if (!is_integer(format_)) return {};
    std::vector<float> scales(columns);
    for (size_t i = 0; i < rounded_.scales.size(); ++i) scales[i] = rounded_.scales[i] * factor;
    return scales;
  }

 private:
  LayerView layer_;
  Format format_;
  RoundedWeights rounded_;
};

std::vector<float> padded_bias(const LayerView& layer, uint32_t columns) {
  std::vector<float> bias(columns);
  std::copy_n(layer.bias, layer.outputs, bias.begin());
  return bias;
}

void put(std::vector<uint8_t>& to, size_t element, uint32_t bytes, uint32_t value) {
  std::memcpy(to.data() + element * bytes, &value, bytes);
}

// Of four weights in sequence, the two that may not be zero: their values and places, ascending.
struct Pair {
  uint32_t value[2], place[2];
};
Pair pair_of(const Elements& elements, uint32_t row, uint32_t column) {
  uint32_t found = 0;
  Pair pair{};
  for (uint32_t k = 0; k < 4 && found < 2; ++k) {
    // What is not taken now must leave room for what is not zero.
    const bool rest_fits = 4 - k > 2 - found;
    const uint32_t value = elements.at(row + k, column);
    if (value == 0 && rest_fits) continue;
    pair.value[found] = value;
    pair.place[found++] = k;
  }
  return pair;
}

}  // namespace

LayerView view_of(const AbiLayer& layer) {
  return {layer.inputs, layer.outputs, layer.weights, layer.bias, layer.relu, Precision::kFp32};
}

bool beyond_fp16(const AbiLayer& layer) {
  const auto beyond = [](float weight) { return !(std::abs(weight) <= 65504.0F); };
  const float* const end = layer.weights + size_t{layer.inputs} * layer.outputs;
  return layer.format == Format::kFp16 && std::any_of(layer.weights, end, beyond);
}

PackedLayer pack_input(const LayerView& layer, uint32_t number_rows, Format format) {
  PackedLayer packed;
  packed.columns = padded(layer.outputs, kInputStep);
  packed.bias = padded_bias(layer, packed.columns);
  LayerView one_hot = layer, numbers = layer;
  one_hot.inputs -= number_rows;
  numbers.weights += size_t{one_hot.inputs} * layer.outputs;
  numbers.inputs = number_rows;
  const auto pack = [&](const LayerView& rows, Format as, std::vector<uint8_t>& to) {
    const Elements elements(rows, as);
    const uint32_t bytes = element_bytes(as);
    to.resize(size_t{rows.inputs} * packed.columns * bytes);
    for (uint32_t row = 0; row < rows.inputs; ++row) {
      for (uint32_t column = 0; column < rows.outputs; ++column) {
        const uint32_t above = as == Format::kInt8 ? 0x80 : 0;
        put(to, size_t{row} * packed.columns + column, bytes, elements.at(row, column) ^ above);
      }
    }
    return elements.scales(packed.columns);
  };
  packed.scale = pack(one_hot, format, packed.weights);
  pack(numbers, number_format(format), packed.numbers);
  return packed;
}

PackedLayer pack_columns(const LayerView& layer, Format format) {
  const Elements elements(layer, format);
  const uint32_t inputs = chunk_inputs(format);
  PackedLayer packed;
  packed.columns = padded(layer.outputs, kColumnStep);
  packed.length = padded(layer.inputs, inputs) / inputs;
  packed.bias = padded_bias(layer, packed.columns);
  packed.scale = elements.scales(packed.columns);
  const size_t chunks = size_t{packed.columns} * packed.length;
  packed.weights.resize(chunks * sizeof(Words));
  if (format == Format::kPairs) packed.places.resize(chunks);
  for (uint32_t column = 0; column < packed.columns; ++column) {
    for (uint32_t chunk = 0; chunk < packed.length; ++chunk) {
      const size_t at = size_t{column} * packed.length + chunk;
      for (uint32_t k = 0; k < inputs; ++k) {
        const uint32_t row = chunk * inputs + k;
        if (format == Format::kPairs) {
          if (k % 4 != 0) continue;
          const Pair pair = pair_of(elements, row, column);
          for (uint32_t i = 0; i < 2; ++i)
            put(packed.weights, at * 16 + k / 2 + i, 1, pair.value[i]);
          packed.places[at] |= (pair.place[0] | pair.place[1] << 2) << k;
        } else if (format == Format::kInt4) {
          packed.weights[at * 16 + k / 2] |=
              static_cast<uint8_t>(elements.at(row, column) << (k % 2 * 4));
        } else {
          put(packed.weights, at * inputs + k, 16 / inputs, elements.at(row, column));
        }
      }
    }
  }
  return packed;
}

namespace {

// The registers of a lane in a product of [16][k] with [k][8], see multiply_bf16() and its kin in
// device_nvidia.h: register 0 is of row lane / 4 and of the inputs that the sample's lane has in
// its first register, 1 of the row 8 on, 2 and 3 the same of its second. A sample's lane, lane % 4,
// has 16 bytes in sequence: the first half goes into the step's first product, the rest into its
// second.
class Fragments {
 public:
  Fragments(const Elements& elements, Format format) : elements_(elements), format_(format) {}

  // Four elements of bytes, two of halves, one of a float. fragment, reg: of the step's products.
  uint32_t word(uint32_t tile, uint32_t step, uint32_t fragment, uint32_t lane,
                uint32_t reg) const {
    const uint32_t bytes = element_bytes(format_);
    const uint32_t column = tile * 16 + lane / 4 + reg % 2 * 8;
    const uint32_t byte = step * kStepBytes + lane % 4 * 16 + (2 * fragment + reg / 2) * 4;
    uint32_t word = 0;
    for (uint32_t k = 0; k < 4 / bytes; ++k) {
      word |= elements_.at(byte / bytes + k, column) << (8 * bytes * k);
    }
    return word;
  }

  // Of two bytes' half: the first product's in the low one.
  uint32_t half_bytes(uint32_t tile, uint32_t step, uint32_t lane, uint32_t reg) const {
    return word(tile, step, 0, lane, reg) | word(tile, step, 1, lane, reg) << 4;
  }

  // Of 2:4: a product has 16 groups of four inputs, group `group` those of the sample's lane
  // group % 4, its register group / 4. A lane of the weights has two groups of two in a register.
  Pair pair(uint32_t column, uint32_t step, uint32_t group) const {
    return pair_of(elements_, step * kStepBytes + group % 4 * 16 + group / 4 * 4, column);
  }
  uint32_t pairs(uint32_t tile, uint32_t step, uint32_t lane, uint32_t reg) const {
    const uint32_t column = tile * 16 + lane / 4 + reg % 2 * 8;
    uint32_t word = 0;
    for (uint32_t k = 0; k < 2; ++k) {
      const Pair two = pair(column, step, reg / 2 * 8 + lane % 4 * 2 + k);
      word |= (two.value[0] | two.value[1] << 8) << (16 * k);
    }
    return word;
  }
  // A lane tells of a row's eight groups: of even lanes row lane / 4, of odd ones 8 on; the first
  // eight groups in lanes 0 and 1 of four. Source: PTX ISA 8.5, sparse m16n8k64.
  uint32_t places(uint32_t tile, uint32_t step, uint32_t lane) const {
    const uint32_t column = tile * 16 + lane / 4 + lane % 2 * 8;
    uint32_t word = 0;
    for (uint32_t k = 0; k < 8; ++k) {
      const Pair two = pair(column, step, lane % 4 / 2 * 8 + k);
      word |= (two.place[0] | two.place[1] << 2) << (4 * k);
    }
    return word;
  }

 private:
  const Elements& elements_;
  Format format_;
};

}  // namespace

PackedLayer pack_tiles(const LayerView& layer, Format format, uint32_t column_step) {
  const Elements elements(layer, format);
  const uint32_t inputs = kStepBytes / element_bytes(format);
  PackedLayer packed;
  packed.columns = padded(layer.outputs, column_step);
  packed.length = padded(layer.inputs, inputs) / inputs;
  packed.bias = padded_bias(layer, packed.columns);
  packed.scale = elements.scales(packed.columns, format == Format::kInt4 ? 1.0F / 16 : 1);
  if (format == Format::kFp32) {
    const uint32_t rows = packed.length * inputs;
    packed.weights.resize(size_t{rows} * packed.columns * sizeof(float));
    for (uint32_t row = 0; row < rows; ++row) {
      for (uint32_t column = 0; column < packed.columns; ++column) {
        put(packed.weights, size_t{row} * packed.columns + column, 4, elements.at(row, column));
      }
    }
    return packed;
  }
  const Fragments fragments(elements, format);
  const uint32_t count = step_fragments(format);
  const size_t steps = size_t{packed.columns} / 16 * packed.length;
  packed.weights.resize(steps * count * 32 * sizeof(Words));
  if (format == Format::kPairs) packed.places.resize(steps * 32);
  for (size_t at = 0; at < steps; ++at) {
    const auto tile = static_cast<uint32_t>(at / packed.length);
    const auto step = static_cast<uint32_t>(at % packed.length);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      for (uint32_t fragment = 0; fragment < count; ++fragment) {
        for (uint32_t reg = 0; reg < 4; ++reg) {
          const uint32_t word = format == Format::kPairs ? fragments.pairs(tile, step, lane, reg)
                                : format == Format::kInt4
                                    ? fragments.half_bytes(tile, step, lane, reg)
                                    : fragments.word(tile, step, fragment, lane, reg);
          put(packed.weights, ((at * count + fragment) * 32 + lane) * 4 + reg, 4, word);
        }
      }
      if (format == Format::kPairs)
        packed.places[at * 32 + lane] = fragments.places(tile, step, lane);
    }
  }
  return packed;
}

}  // namespace auspex::cuda
