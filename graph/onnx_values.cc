// SPDX-License-Identifier: Apache-2.0
#include "graph/onnx_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace auspex {
namespace {

using onnx::TensorProto;

template <class T>
bool append_raw(const std::string& raw, std::vector<double>& out) {
  for (size_t i = 0; i + sizeof(T) <= raw.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, raw.data() + i, sizeof value);
    out.push_back(static_cast<double>(value));
  }
  return raw.size() % sizeof(T) == 0;
}

bool append_raw(const TensorProto& tensor, std::vector<double>& out) {
  const std::string& raw = tensor.raw_data();
  switch (tensor.data_type()) {
    case TensorProto::INT64:
      return append_raw<int64_t>(raw, out);
    case TensorProto::INT32:
      return append_raw<int32_t>(raw, out);
    case TensorProto::FLOAT:
      return append_raw<float>(raw, out);
    case TensorProto::DOUBLE:
      return append_raw<double>(raw, out);
    case TensorProto::BOOL:
    case TensorProto::UINT8:
      return append_raw<uint8_t>(raw, out);
    default:
      return false;
  }
}

}  // namespace

std::optional<size_t> count_elements(const std::vector<int64_t>& shape, size_t most) {
  size_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || static_cast<uint64_t>(dim) > most) return std::nullopt;
    count *= static_cast<size_t>(dim);
    if (count > most) return std::nullopt;
  }
  return count;
}

int64_t whole_number(double value) {
  constexpr double kMost = 9.2e18;
  return static_cast<int64_t>(std::clamp(std::isnan(value) ? 0 : value, -kMost, kMost));
}

const onnx::AttributeProto* attribute(const onnx::NodeProto& node, const char* name) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

int64_t attribute_or(const onnx::NodeProto& node, const char* name, int64_t otherwise) {
  const auto* found = attribute(node, name);
  return found && found->has_i() ? found->i() : otherwise;
}

std::vector<int64_t> attribute_list(const onnx::NodeProto& node, const char* name) {
  const auto* found = attribute(node, name);
  if (!found) return {};
  return {found->ints().begin(), found->ints().end()};
}

std::optional<SmallTensor> small_tensor(const TensorProto& tensor) {
  SmallTensor out{{tensor.dims().begin(), tensor.dims().end()}, {}, tensor.data_type()};
  if (tensor.has_raw_data()) {
    if (!append_raw(tensor, out.values)) return {};
  } else if (tensor.data_type() == TensorProto::INT64) {
    out.values.assign(tensor.int64_data().begin(), tensor.int64_data().end());
  } else if (tensor.data_type() == TensorProto::FLOAT) {
    out.values.assign(tensor.float_data().begin(), tensor.float_data().end());
  } else if (tensor.data_type() == TensorProto::DOUBLE) {
    out.values.assign(tensor.double_data().begin(), tensor.double_data().end());
  } else {
    out.values.assign(tensor.int32_data().begin(), tensor.int32_data().end());
  }
  if (count_elements(out.shape, kMostSmallValues) != out.values.size()) return {};
  return out;
}

TensorProto tensor_proto(const SmallTensor& tensor) {
  TensorProto out;
  for (const int64_t dim : tensor.shape) out.add_dims(dim);
  out.set_data_type(tensor.type);
  for (const double value : tensor.values) {
    switch (tensor.type) {
      case TensorProto::INT64:
        out.add_int64_data(whole_number(value));
        break;
      case TensorProto::FLOAT:
        out.add_float_data(static_cast<float>(value));
        break;
      case TensorProto::DOUBLE:
        out.add_double_data(value);
        break;
      default:
        out.add_int32_data(static_cast<int32_t>(
            std::clamp<int64_t>(whole_number(value), std::numeric_limits<int32_t>::min(),
                                std::numeric_limits<int32_t>::max())));
    }
  }
  return out;
}

SmallTensor picked(const SmallTensor& data, std::vector<int64_t> shape,
                   const std::vector<int64_t>& strides, int64_t first) {
  SmallTensor out{std::move(shape), {}, data.type};
  out.values.resize(*count_elements(out.shape, kMostSmallValues));
  std::vector<int64_t> place(out.shape.size());
  for (double& value : out.values) {
    int64_t at = first;
    for (size_t i = 0; i < place.size(); ++i) at += place[i] * strides[i];
    value = data.values[static_cast<size_t>(at)];
    for (size_t i = place.size(); i-- > 0 && ++place[i] == out.shape[i];) place[i] = 0;
  }
  return out;
}

std::vector<int64_t> strides_of(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::optional<std::vector<int64_t>> common_shape(std::vector<int64_t> a, std::vector<int64_t> b) {
  if (a.size() < b.size()) std::swap(a, b);
  const size_t missing = a.size() - b.size();
  for (size_t i = 0; i < b.size(); ++i) {
    int64_t& mine = a[missing + i];
    if (mine != b[i] && mine != 1 && b[i] != 1) return {};
    mine = mine == 1 ? b[i] : mine;
  }
  if (!count_elements(a, kMostSmallValues)) return {};
  return a;
}

SmallTensor expanded(const SmallTensor& data, const std::vector<int64_t>& shape) {
  const std::vector<int64_t> own = strides_of(data.shape);
  std::vector<int64_t> strides(shape.size());
  const size_t missing = shape.size() - own.size();
  for (size_t i = 0; i < own.size(); ++i) strides[missing + i] = data.shape[i] == 1 ? 0 : own[i];
  return picked(data, shape, strides, 0);
}

}  // namespace auspex
