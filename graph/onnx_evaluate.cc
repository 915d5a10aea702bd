// SPDX-License-Identifier: Apache-2.0
#include "graph/onnx_values.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <string_view>

namespace auspex {
namespace {

using onnx::TensorProto;
using Small = std::optional<SmallTensor>;

bool is_float(int32_t type) {
  return type == TensorProto::FLOAT || type == TensorProto::DOUBLE ||
         type == TensorProto::FLOAT16 || type == TensorProto::BFLOAT16;
}

std::vector<int64_t> whole_numbers(const SmallTensor& tensor) {
  std::vector<int64_t> out;
  for (const double value : tensor.values) out.push_back(whole_number(value));
  return out;
}

SmallTensor list_of(const std::vector<int64_t>& values) {
  return {{static_cast<int64_t>(values.size())}, {values.begin(), values.end()}};
}

Small broadcast(const SmallTensor& a, const SmallTensor& b, int32_t type,
                const std::function<double(double, double)>& f) {
  const auto shape = common_shape(a.shape, b.shape);
  if (!shape) return {};
  SmallTensor out = expanded(a, *shape);
  const SmallTensor other = expanded(b, *shape);
  out.type = type;
  for (size_t i = 0; i < out.values.size(); ++i) out.values[i] = f(out.values[i], other.values[i]);
  return out;
}

double divided(double a, double b) {
  return b == 0 ? 0 : a / b;
}

// Of two numbers; whole numbers stay whole.
Small binary(std::string_view op, const SmallTensor& a, const SmallTensor& b) {
  const int32_t truth = TensorProto::BOOL;
  if (op == "Add") return broadcast(a, b, a.type, std::plus<double>());
  if (op == "Sub") return broadcast(a, b, a.type, std::minus<double>());
  if (op == "Mul") return broadcast(a, b, a.type, std::multiplies<double>());
  if (op == "Div" && is_float(a.type)) return broadcast(a, b, a.type, divided);
  if (op == "Div") {
    return broadcast(a, b, a.type, [](double x, double y) { return std::trunc(divided(x, y)); });
  }
  if (op == "Mod") {
    return broadcast(a, b, a.type,
                     [](double x, double y) { return x - y * std::floor(divided(x, y)); });
  }
  if (op == "Pow")
    return broadcast(a, b, a.type, [](double x, double y) { return std::pow(x, y); });
  if (op == "Min")
    return broadcast(a, b, a.type, [](double x, double y) { return std::min(x, y); });
  if (op == "Max")
    return broadcast(a, b, a.type, [](double x, double y) { return std::max(x, y); });
  if (op == "Equal") return broadcast(a, b, truth, std::equal_to<double>());
  if (op == "Less") return broadcast(a, b, truth, std::less<double>());
  if (op == "LessOrEqual") return broadcast(a, b, truth, std::less_equal<double>());
  if (op == "Greater") return broadcast(a, b, truth, std::greater<double>());
  if (op == "GreaterOrEqual") return broadcast(a, b, truth, std::greater_equal<double>());
  if (op == "And") return broadcast(a, b, truth, std::logical_and<double>());
  if (op == "Or") return broadcast(a, b, truth, std::logical_or<double>());
  return {};
}

Small unary(std::string_view op, const SmallTensor& a) {
  static const std::map<std::string_view, double (*)(double)> kFunctions = {
      {"Neg", [](double x) { return -x; }},
      {"Abs", [](double x) { return std::abs(x); }},
      {"Floor", [](double x) { return std::floor(x); }},
      {"Ceil", [](double x) { return std::ceil(x); }},
      {"Round", [](double x) { return std::nearbyint(x); }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
      {"Not", [](double x) { return static_cast<double>(x == 0); }},
      {"Identity", [](double x) { return x; }},
  };
  const auto found = kFunctions.find(op);
  if (found == kFunctions.end()) return {};
  SmallTensor out = a;
  std::transform(a.values.begin(), a.values.end(), out.values.begin(), found->second);
  return out;
}

Small constant(const onnx::NodeProto& node) {
  if (const auto* value = attribute(node, "value")) return small_tensor(value->t());
  if (const auto* value = attribute(node, "value_int"))
    return SmallTensor{{}, {double(value->i())}};
  if (attribute(node, "value_ints")) return list_of(attribute_list(node, "value_ints"));
  if (const auto* value = attribute(node, "value_float")) {
    return SmallTensor{{}, {value->f()}, TensorProto::FLOAT};
  }
  return {};
}

// [start, end) of `count` dimensions, negative ones from the end.
Small shape_of(const onnx::NodeProto& node, const std::vector<int64_t>& shape) {
  const auto count = static_cast<int64_t>(shape.size());
  const auto place = [&](int64_t i) {
    return std::clamp(i < 0 ? i + count : i, int64_t{0}, count);
  };
  const int64_t start = place(attribute_or(node, "start", 0));
  const int64_t end = std::max(start, place(attribute_or(node, "end", count)));
  return list_of({shape.begin() + start, shape.begin() + end});
}

// None: there is no such axis.
std::optional<size_t> axis_of(int64_t axis, size_t rank) {
  const int64_t place = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (place < 0 || place >= static_cast<int64_t>(rank)) return {};
  return static_cast<size_t>(place);
}

Small transposed(const onnx::NodeProto& node, const SmallTensor& data) {
  const std::vector<int64_t> strides = strides_of(data.shape);
  std::vector<int64_t> order = attribute_list(node, "perm"), shape, picked_strides;
  if (order.empty()) {
    for (size_t i = data.shape.size(); i-- > 0;) order.push_back(static_cast<int64_t>(i));
  }
  if (order.size() != data.shape.size()) return {};
  for (const int64_t axis : order) {
    const auto place = axis_of(axis, data.shape.size());
    if (!place) return {};
    shape.push_back(data.shape[*place]);
    picked_strides.push_back(strides[*place]);
  }
  if (!count_elements(shape, kMostSmallValues)) return {};
  return picked(data, shape, picked_strides, 0);
}

// Of a list, by a list or a number.
Small gather(const SmallTensor& data, const SmallTensor& indices) {
  if (data.shape.size() != 1) return {};
  SmallTensor out{indices.shape, {}, data.type};
  for (const int64_t index : whole_numbers(indices)) {
    const int64_t count = data.shape[0], at = index < 0 ? index + count : index;
    if (at < 0 || at >= count) return {};
    out.values.push_back(data.values[static_cast<size_t>(at)]);
  }
  return out;
}

// Lists, or tables along their first axis.
Small concat(const onnx::NodeProto& node, std::span<const SmallTensor* const> inputs) {
  SmallTensor out{inputs[0]->shape, {}, inputs[0]->type};
  const auto axis = axis_of(attribute_or(node, "axis", 0), out.shape.size());
  if (!axis || *axis != 0) return {};
  out.shape[0] = 0;
  for (const SmallTensor* input : inputs) {
    if (input->shape.size() != out.shape.size()) return {};
    out.shape[0] += input->shape[0];
    out.values.insert(out.values.end(), input->values.begin(), input->values.end());
  }
  if (count_elements(out.shape, kMostSmallValues) != out.values.size()) return {};
  return out;
}

// What one axis keeps.
struct Cut {
  int64_t first = 0, count = 0, step = 1;
};

// Source: ONNX's Slice: negative places count from the end, what lies beyond is clamped.
Cut cut_of(int64_t size, int64_t start, int64_t end, int64_t step) {
  const auto place = [&](int64_t i, int64_t least, int64_t most) {
    return std::clamp(i < 0 ? i + size : i, least, most);
  };
  const int64_t first = step > 0 ? place(start, 0, size) : place(start, -1, size - 1);
  const int64_t last = step > 0 ? place(end, 0, size) : place(end, -1, size - 1);
  const int64_t span = step > 0 ? last - first : first - last;
  const int64_t stride = std::abs(step);
  return {first, span > 0 ? (span + stride - 1) / stride : 0, step};
}

Small slice(const onnx::NodeProto& node, std::span<const SmallTensor* const> inputs) {
  const SmallTensor& data = *inputs[0];
  const auto numbers = [&](size_t input, const char* name) {
    const bool given = inputs.size() > input && inputs[input];
    return given ? whole_numbers(*inputs[input]) : attribute_list(node, name);
  };
  const std::vector<int64_t> starts = numbers(1, "starts"), ends = numbers(2, "ends");
  const std::vector<int64_t> axes = numbers(3, "axes"), steps = numbers(4, "steps");
  std::vector<int64_t> shape = data.shape, strides = strides_of(shape);
  int64_t first = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis = axis_of(i < axes.size() ? axes[i] : static_cast<int64_t>(i), shape.size());
    const int64_t step = i < steps.size() ? steps[i] : 1;
    if (!axis || i >= ends.size() || step == 0 || std::abs(step) > int64_t{1} << 40) return {};
    const Cut cut = cut_of(data.shape[*axis], starts[i], ends[i], step);
    first += cut.first * strides[*axis];
    shape[*axis] = cut.count;
    strides[*axis] *= cut.step;
  }
  if (!count_elements(shape, kMostSmallValues)) return {};
  return picked(data, shape, strides, first);
}

// Same values in another shape.
Small reshaped(const onnx::NodeProto& node, std::span<const SmallTensor* const> inputs) {
  SmallTensor out = *inputs[0];
  const std::string& op = node.op_type();
  std::vector<int64_t> axes = attribute_list(node, "axes");
  if (inputs.size() > 1 && inputs[1]) axes = whole_numbers(*inputs[1]);
  if (op == "Reshape" || op == "Flatten") {
    const auto count = static_cast<int64_t>(out.values.size());
    out.shape = op == "Flatten" ? std::vector<int64_t>{1, count} : axes;
    const auto free = std::find(out.shape.begin(), out.shape.end(), -1);
    if (free != out.shape.end()) {
      *free = 1;
      const auto others = count_elements(out.shape, kMostSmallValues);
      if (!others || *others == 0) return {};
      *free = count / static_cast<int64_t>(*others);
    }
  } else if (op == "Squeeze") {
    for (size_t i = out.shape.size(); i-- > 0;) {
      const bool named = std::any_of(axes.begin(), axes.end(), [&](int64_t axis) {
        return axis_of(axis, inputs[0]->shape.size()) == i;
      });
      if (named || (axes.empty() && out.shape[i] == 1)) out.shape.erase(out.shape.begin() + i);
    }
  } else {  // Unsqueeze: places in the result
    const size_t rank = out.shape.size() + axes.size();
    std::vector<size_t> places;
    for (const int64_t axis : axes) {
      const auto place = axis_of(axis, rank);
      if (!place) return {};
      places.push_back(*place);
    }
    std::sort(places.begin(), places.end());
    for (const size_t place : places) {
      if (place > out.shape.size()) return {};
      out.shape.insert(out.shape.begin() + place, 1);
    }
  }
  if (count_elements(out.shape, kMostSmallValues) != out.values.size()) return {};
  return out;
}

Small filled(const onnx::NodeProto& node, const SmallTensor& shape) {
  SmallTensor out{whole_numbers(shape), {}, TensorProto::FLOAT};
  Small value;
  if (const auto* given = attribute(node, "value")) value = small_tensor(given->t());
  const auto count = count_elements(out.shape, kMostSmallValues);
  if (!count) return {};
  if (value) out.type = value->type;
  out.values.assign(*count, value && !value->values.empty() ? value->values[0] : 0);
  return out;
}

Small range(const SmallTensor& start, const SmallTensor& limit, const SmallTensor& delta) {
  if (start.values.empty() || limit.values.empty() || delta.values.empty()) return {};
  const double step = delta.values[0];
  const double count = step == 0 ? 0 : std::ceil((limit.values[0] - start.values[0]) / step);
  if (!(count <= double{kMostSmallValues})) return {};
  SmallTensor out{{0}, {}, start.type};
  for (double i = 0; i < count; ++i) out.values.push_back(start.values[0] + i * step);
  out.shape[0] = static_cast<int64_t>(out.values.size());
  return out;
}

Small where(const SmallTensor& condition, const SmallTensor& yes, const SmallTensor& no) {
  auto shape = common_shape(yes.shape, no.shape);
  if (shape) shape = common_shape(*shape, condition.shape);
  if (!shape) return {};
  SmallTensor out = expanded(yes, *shape);
  const SmallTensor truth = expanded(condition, *shape), other = expanded(no, *shape);
  for (size_t i = 0; i < out.values.size(); ++i) {
    if (truth.values[i] == 0) out.values[i] = other.values[i];
  }
  return out;
}

Small expand(const SmallTensor& data, const SmallTensor& shape) {
  const auto common = common_shape(data.shape, whole_numbers(shape));
  if (!common) return {};
  return expanded(data, *common);
}

Small clipped(std::span<const SmallTensor* const> inputs) {
  SmallTensor out = *inputs[0];
  const auto bound = [&](size_t i, double otherwise) {
    return inputs.size() > i && inputs[i] && !inputs[i]->values.empty() ? inputs[i]->values[0]
                                                                        : otherwise;
  };
  const double least = bound(1, -HUGE_VAL), most = bound(2, HUGE_VAL);
  for (double& value : out.values) value = std::min(std::max(value, least), most);
  return out;
}

Small reduced(std::string_view op, const SmallTensor& data) {
  double result = op == "ReduceProd" ? 1 : 0;
  for (const double value : data.values)
    result = op == "ReduceProd" ? result * value : result + value;
  return SmallTensor{{}, {result}, data.type};
}

Small cast(const onnx::NodeProto& node, const SmallTensor& data) {
  SmallTensor out = data;
  out.type = static_cast<int32_t>(attribute_or(node, "to", data.type));
  if (!is_float(out.type)) {
    for (double& value : out.values) value = std::trunc(value);
  }
  return out;
}

}  // namespace

Small evaluate(const onnx::NodeProto& node, std::span<const SmallTensor* const> inputs,
               std::span<const KnownShape> shapes) {
  const std::string& op = node.op_type();
  if (op == "Constant") return constant(node);
  if (op == "Shape" && shapes.size() == 1 && shapes[0]) return shape_of(node, *shapes[0]);
  if (op == "Size" && shapes.size() == 1 && shapes[0]) {
    const auto count = count_elements(*shapes[0], size_t{1} << 52);
    if (!count) return {};
    return SmallTensor{{}, {static_cast<double>(*count)}};
  }
  const bool optional = op == "Slice" || op == "Clip";  // trailing inputs may be left out
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i] && !(optional && node.input(static_cast<int>(i)).empty())) return {};
    if (inputs[i] && inputs[i]->values.empty() && op != "Concat" && op != "Slice" &&
        op != "ConstantOfShape" && op != "Reshape") {
      return {};
    }
  }
  if (inputs.empty()) return {};
  const SmallTensor& first = *inputs[0];
  if (op == "Concat") return concat(node, inputs);
  if (op == "Slice") return slice(node, inputs);
  if (op == "Transpose") return transposed(node, first);
  if (op == "Clip") return clipped(inputs);
  if (op == "Cast") return cast(node, first);
  if (op == "ConstantOfShape") return filled(node, first);
  if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze") {
    return reshaped(node, inputs);
  }
  if (op == "ReduceProd" || op == "ReduceSum") return reduced(op, first);
  if (op == "Gather" && inputs.size() == 2) return gather(first, *inputs[1]);
  if (op == "Expand" && inputs.size() == 2) return expand(first, *inputs[1]);
  if (op == "Range" && inputs.size() == 3) return range(first, *inputs[1], *inputs[2]);
  if (op == "Where" && inputs.size() == 3) return where(first, *inputs[1], *inputs[2]);
  if (inputs.size() == 1) return unary(op, first);
  if (inputs.size() == 2) return binary(op, first, *inputs[1]);
  return {};
}

}  // namespace auspex
