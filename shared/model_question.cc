// SPDX-License-Identifier: Apache-2.0
#include "shared/model_question.h"

#include <cmath>
#include <cstring>
#include <type_traits>

namespace auspex {
namespace {

constexpr size_t kMostSlices = 16;
constexpr size_t kMostRefusalBytes = 512;
// No card has more, no step is longer. Source: ours.
constexpr double kMostMib = 1e9, kMostMs = 1e12, kMostJoules = 1e15;

// Both ends are of one build: plain values as they lie in memory, texts with their length before.
class Writer {
 public:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(const std::string& text) {
    put(static_cast<uint32_t>(text.size()));
    bytes_ += text;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : bytes_(bytes) {}
  template <class T>
  void get(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes_.size() < sizeof value) return fail();
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
  }
  void get(std::string& text) {
    uint32_t size = 0;
    get(size);
    if (bytes_.size() < size) return fail();
    text.assign(bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  bool is_done() const { return !failed_ && bytes_.empty(); }

 private:
  void fail() {
    failed_ = true;
    bytes_ = {};
  }
  std::span<const char> bytes_;
  bool failed_ = false;
};

// A bool of any other byte is undefined.
void get_flag(Reader& reader, bool& flag) {
  uint8_t byte = 0;
  reader.get(byte);
  flag = byte != 0;
}

template <class Stream, class Run, class Visit>
void visit_run(Stream& stream, Run& run, const Visit& visit) {
  visit(stream, run.path);
  visit(stream, run.card);
  visit(stream, run.input);
  visit(stream, run.mode);
  visit(stream, run.format);
  visit(stream, run.optimizer);
  visit(stream, run.batch);
  visit(stream, run.context_mib);
}

bool is_amount(double value, double most) {
  return std::isfinite(value) && value >= 0 && value <= most;
}

bool is_possible(const ModelNeed& need) {
  if (need.slice_ms.size() > kMostSlices) return false;
  for (const double ms : need.slice_ms) {
    if (!is_amount(ms, kMostMs)) return false;
  }
  return is_amount(need.memory_mib, kMostMib) && is_amount(need.memory_upper_mib, kMostMib) &&
         is_amount(need.latency_ms, kMostMs) && is_amount(need.energy_j, kMostJoules);
}

std::optional<ModelNeed> get_need(Reader& reader) {
  ModelNeed need;
  reader.get(need.memory_mib);
  reader.get(need.memory_upper_mib);
  reader.get(need.latency_ms);
  reader.get(need.energy_j);
  uint8_t slices = 0;
  reader.get(slices);
  need.slice_ms.resize(slices);
  for (double& ms : need.slice_ms) reader.get(ms);
  if (!is_possible(need)) return std::nullopt;
  return need;
}

}  // namespace

std::optional<std::string> encode(const ModelQuestion& q) {
  Writer writer;
  writer.put(q.id);
  writer.put(q.kind);
  writer.put(q.uid);
  writer.put(q.gid);
  writer.put(q.identity);
  visit_run(writer, q.run, [](Writer& w, const auto& value) { w.put(value); });
  std::string bytes = writer.take();
  if (bytes.size() > kMaxQuestionBytes) return std::nullopt;
  return bytes;
}

std::optional<ModelQuestion> decode_question(std::span<const char> bytes) {
  Reader reader(bytes);
  ModelQuestion q;
  uint8_t kind = 0;
  reader.get(q.id);
  reader.get(kind);
  reader.get(q.uid);
  reader.get(q.gid);
  reader.get(q.identity);
  visit_run(reader, q.run, [](Reader& r, auto& value) { r.get(value); });
  q.kind = static_cast<QuestionKind>(kind);
  if (!reader.is_done() || kind > static_cast<uint8_t>(QuestionKind::kCheck)) return std::nullopt;
  return q;
}

std::string encode(const ModelReply& reply) {
  Writer writer;
  writer.put(reply.id);
  writer.put(static_cast<uint8_t>(reply.same));
  writer.put(reply.identity);
  writer.put(reply.answer.refusal.substr(0, kMostRefusalBytes));
  const auto& need = reply.answer.need;
  writer.put(static_cast<uint8_t>(need.has_value()));
  if (!need) return writer.take();
  writer.put(need->memory_mib);
  writer.put(need->memory_upper_mib);
  writer.put(need->latency_ms);
  writer.put(need->energy_j);
  writer.put(static_cast<uint8_t>(need->slice_ms.size()));
  for (const double ms : need->slice_ms) writer.put(ms);
  return writer.take();
}

std::optional<ModelReply> decode_reply(std::span<const char> bytes) {
  Reader reader(bytes);
  ModelReply reply;
  bool has_need = false;
  reader.get(reply.id);
  get_flag(reader, reply.same);
  reader.get(reply.identity);
  reader.get(reply.answer.refusal);
  get_flag(reader, has_need);
  if (has_need) reply.answer.need = get_need(reader);
  const bool sound = reader.is_done() && has_need == reply.answer.need.has_value() &&
                     reply.answer.refusal.size() <= kMostRefusalBytes;
  if (!sound) return std::nullopt;
  return reply;
}

}  // namespace auspex
