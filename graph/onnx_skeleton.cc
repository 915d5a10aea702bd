// SPDX-License-Identifier: Apache-2.0
#include "graph/onnx_skeleton.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/wire_format_lite.h>
#include <sys/stat.h>

#include <climits>
#include <cstring>

namespace auspex {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Shapes, axes and scales are smaller; weights may be as small, and do no harm.
constexpr size_t kKeptTensorBytes = 4096;
constexpr int kDeepest = 40;  // messages in messages

// The messages of onnx.proto on the way to a tensor.
enum class Message { kModel, kGraph, kFunction, kNode, kAttribute, kTensor, kOpaque };

struct Field {
  bool dropped = false;
  Message inside = Message::kOpaque;
};

// Source: onnx.proto. Documentation, training and sparse weights are dropped.
Field field_of(Message message, int number) {
  switch (message) {
    case Message::kModel:
      if (number == 7) return {false, Message::kGraph};
      if (number == 25) return {false, Message::kFunction};
      return {number == 6 || number == 14 || number == 20};
    case Message::kGraph:
      if (number == 1) return {false, Message::kNode};
      if (number == 5) return {false, Message::kTensor};
      // value_info tells shapes of another batch.
      return {number == 10 || number == 13 || number == 14 || number == 15};
    case Message::kFunction:
      if (number == 7) return {false, Message::kNode};
      return {number == 8};
    case Message::kNode:
      if (number == 5) return {false, Message::kAttribute};
      return {number == 6};
    case Message::kAttribute:
      if (number == 5 || number == 10) return {false, Message::kTensor};
      if (number == 6 || number == 11) return {false, Message::kGraph};
      return {number == 13 || number == 22 || number == 23};
    case Message::kTensor:
      return {number == 12};
    case Message::kOpaque:
      break;
  }
  return {};
}

// Dims, type and name are no content.
bool is_content(Message message, int number) {
  return message == Message::kTensor &&
         ((number >= 4 && number <= 7) || number == 9 || number == 10 || number == 11);
}

class Copier {
 public:
  Copier(CodedInputStream& in, const OnnxLimits& limits) : in_(in), limits_(limits) {}

  // Until the current limit of the stream, or its end.
  Status copy(Message message, int depth, std::string& out) {
    if (depth > kDeepest) return Error{"messages within messages, more than 40 deep" + place()};
    std::string content;
    bool whole = true;
    while (const uint32_t tag = in_.ReadTag()) {
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      if (message == Message::kGraph && number == 1 && ++nodes_ > limits_.nodes) {
        return Error{"more than " + std::to_string(limits_.nodes) + " nodes"};
      }
      const bool data = is_content(message, number);
      const Status copied = copy_field(message, tag, depth, data ? content : out, whole);
      if (!copied) return copied;
      if (data && (!whole || content.size() > kKeptTensorBytes)) {
        whole = false;
        content.clear();
      }
      if (out.size() > limits_.skeleton_bytes) {
        return Error{"more than " + std::to_string(limits_.skeleton_bytes >> 20) +
                     " MiB beside the weights"};
      }
    }
    if (!in_.ConsumedEntireMessage()) return malformed();
    if (whole) out += content;
    return Done{};
  }

  Error malformed() const { return Error{"not an ONNX model" + place()}; }

 private:
  std::string place() const { return ", at byte " + std::to_string(in_.CurrentPosition()); }

  // kept: cleared where the content of a tensor is too large.
  Status copy_field(Message message, uint32_t tag, int depth, std::string& out, bool& kept) {
    const Field field = field_of(message, WireFormatLite::GetTagFieldNumber(tag));
    const auto type = WireFormatLite::GetTagWireType(tag);
    uint64_t number = 0;
    uint32_t fixed = 0;
    switch (type) {
      case WireFormatLite::WIRETYPE_VARINT:
        if (!in_.ReadVarint64(&number)) return malformed();
        if (!field.dropped) append(out, tag, number);
        return Done{};
      case WireFormatLite::WIRETYPE_FIXED64:
        if (!in_.ReadLittleEndian64(&number)) return malformed();
        if (!field.dropped) append_bytes(out, tag, &number, sizeof number);
        return Done{};
      case WireFormatLite::WIRETYPE_FIXED32:
        if (!in_.ReadLittleEndian32(&fixed)) return malformed();
        if (!field.dropped) append_bytes(out, tag, &fixed, sizeof fixed);
        return Done{};
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        return copy_delimited(message, field, tag, depth, out, kept);
      default:  // groups: ONNX has none
        return malformed();
    }
  }

  Status copy_delimited(Message message, const Field& field, uint32_t tag, int depth,
                        std::string& out, bool& kept) {
    uint32_t length = 0;
    if (!in_.ReadVarint32(&length) || length > INT_MAX) return malformed();
    if (field.dropped) return in_.Skip(static_cast<int>(length)) ? Status(Done{}) : malformed();
    std::string inside;
    if (field.inside != Message::kOpaque) {
      const auto limit = in_.PushLimit(static_cast<int>(length));
      const Status copied = copy(field.inside, depth + 1, inside);
      if (!copied) return copied;
      if (in_.BytesUntilLimit() != 0) return malformed();
      in_.PopLimit(limit);
    } else if (is_content(message, WireFormatLite::GetTagFieldNumber(tag)) &&
               length > kKeptTensorBytes) {
      kept = false;
      return in_.Skip(static_cast<int>(length)) ? Status(Done{}) : malformed();
    } else if (length > limits_.skeleton_bytes) {
      return Error{"more than " + std::to_string(limits_.skeleton_bytes >> 20) +
                   " MiB beside the weights"};
    } else if (!in_.ReadString(&inside, static_cast<int>(length))) {
      return malformed();
    }
    append(out, tag, inside.size());
    out += inside;
    return Done{};
  }

  static void append_varint(std::string& out, uint64_t number) {
    for (; number > 127; number >>= 7) out += static_cast<char>(number | 128);
    out += static_cast<char>(number);
  }
  static void append(std::string& out, uint32_t tag, uint64_t number) {
    append_varint(out, tag);
    append_varint(out, number);
  }
  static void append_bytes(std::string& out, uint32_t tag, const void* bytes, size_t count) {
    append_varint(out, tag);
    out.append(static_cast<const char*>(bytes), count);
  }

  CodedInputStream& in_;
  const OnnxLimits& limits_;
  uint32_t nodes_ = 0;
};

std::string read_of(const CodedInputStream& in, const struct stat& about) {
  return std::to_string(about.st_size) + " bytes, of " + std::to_string(in.CurrentPosition());
}

}  // namespace

Result<std::string> onnx_skeleton(int fd, const OnnxLimits& limits) {
  struct stat about {};
  if (fstat(fd, &about) != 0) return Error{std::strerror(errno)};
  if (!S_ISREG(about.st_mode)) return Error{"not a regular file"};
  if (about.st_size > INT_MAX) return Error{"more than 2 GiB: no ONNX file is as large"};
  google::protobuf::io::FileInputStream file(fd);
  CodedInputStream in(&file);
  Copier copier(in, limits);
  std::string skeleton;
  const Status copied = copier.copy(Message::kModel, 0, skeleton);
  if (!copied) return copied.error();
  if (file.GetErrno() != 0) return Error{std::strerror(file.GetErrno())};
  if (in.CurrentPosition() != about.st_size) return Error{"truncated: " + read_of(in, about)};
  if (skeleton.empty()) return Error{"not an ONNX model: empty"};
  return skeleton;
}

}  // namespace auspex
