// SPDX-License-Identifier: Apache-2.0
// ONNX Runtime as a peer, where its library is found. Debian has none and so no header: what is
// needed of its C interface stands here.
// Source: the order of struct OrtApi in onnxruntime_c_api.h, whose first version never changes.
#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <exception>

#include "learn/bench_peers.h"
#include "learn/onnx_model.h"
#include "shared/prediction.h"

namespace auspex {
namespace {

struct OrtApiBase {
  const void* const* (*api)(uint32_t version);
  const char* (*version)();
};

using Handle = void*;
using OrtStatus = void*;

// Places in the table, and what stands there.
template <size_t place, class Type>
struct Entry {
  static Type* of(const void* const* table) {
    return reinterpret_cast<Type*>(const_cast<void*>(table[place]));
  }
};
using ErrorText = Entry<2, const char*(OrtStatus)>;
using CreateEnv = Entry<3, OrtStatus(int level, const char* name, Handle* env)>;
using CreateSession = Entry<8, OrtStatus(Handle env, const void* model, size_t bytes,
                                         Handle options, Handle* session)>;
using Run = Entry<9, OrtStatus(Handle session, Handle options, const char* const* inputs,
                               const Handle* values, size_t count, const char* const* outputs,
                               size_t output_count, Handle* output_values)>;
using CreateOptions = Entry<10, OrtStatus(Handle* options)>;
using SetOptimization = Entry<23, OrtStatus(Handle options, int level)>;
using SetThreads = Entry<24, OrtStatus(Handle options, int threads)>;
using CreateTensor =
    Entry<49, OrtStatus(Handle memory, void* data, size_t bytes, const int64_t* shape, size_t dims,
                        int type, Handle* value)>;
using CreateCpuMemory = Entry<69, OrtStatus(int allocator, int kind, Handle* memory)>;
using ReleaseStatus = Entry<93, void(OrtStatus)>;
using ReleaseSession = Entry<95, void(Handle)>;
using ReleaseValue = Entry<96, void(Handle)>;

constexpr int kFloat = 1, kInt64 = 7;  // ONNXTensorElementDataType

// The library, and what one process has of it. It stays loaded.
struct Onnx {
  const void* const* table = nullptr;
  Handle env = nullptr, options = nullptr, memory = nullptr;

  Status done(OrtStatus status) const {
    if (status == nullptr) return Done{};
    Error error{std::string("onnxruntime: ") + ErrorText::of(table)(status)};
    ReleaseStatus::of(table)(status);
    return error;
  }
};

Result<Onnx> loaded(const std::string& path) {
  constexpr int kErrors = 3, kAllOptimizations = 99, kDevice = 0, kDefault = 0;
  void* library = nullptr;
  if (!path.empty()) {
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return Error{std::string("onnxruntime: ") + dlerror()};
  } else {
    for (const char* name : {"libonnxruntime.so.1", "libonnxruntime.so"}) {
      if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) {
      return Error{"onnxruntime is not installed (--onnxruntime names its library)"};
    }
  }
  const auto base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (base == nullptr) return Error{"onnxruntime: " + path + " has no OrtGetApiBase"};
  Onnx onnx;
  onnx.table = base()->api(1);
  if (onnx.table == nullptr) return Error{"onnxruntime: it has no interface of version 1"};
  for (const OrtStatus status :
       {CreateEnv::of(onnx.table)(kErrors, "bench", &onnx.env),
        CreateOptions::of(onnx.table)(&onnx.options),
        CreateCpuMemory::of(onnx.table)(kDevice, kDefault, &onnx.memory)}) {
    if (Status made = onnx.done(status); !made) return made.error();
  }
  for (const OrtStatus status :
       {SetThreads::of(onnx.table)(onnx.options, 1),
        SetOptimization::of(onnx.table)(onnx.options, kAllOptimizations)}) {
    if (Status set = onnx.done(status); !set) return set.error();
  }
  return onnx;
}

class OnnxPeer final : public BenchPeer {
 public:
  OnnxPeer(const Onnx& onnx, bool int8) : onnx_(onnx), int8_(int8) {}
  ~OnnxPeer() override { release(); }
  OnnxPeer(const OnnxPeer&) = delete;
  OnnxPeer& operator=(const OnnxPeer&) = delete;

  PeerLabel label() const override {
    return {"onnxruntime", "capi", int8_ ? "int8" : "fp32", "gather"};
  }

  Status build(const BenchNet& net) override {
    release();
    inputs_ = peer_inputs(net.rows);
    outputs_.resize(size_t{kPeerJobs} * kOutputCount);
    const std::string model = onnx_model(net, int8_);
    return onnx_.done(CreateSession::of(onnx_.table)(onnx_.env, model.data(), model.size(),
                                                     onnx_.options, &session_));
  }

  Status choose(uint32_t batch) override {
    if (session_ == nullptr) return Error{"onnxruntime: there is no session"};
    release_values();
    next_ = next_ + 2 * size_t{batch} > kPeerJobs ? 0 : next_ + batch;
    const struct {
      void* data;
      size_t width, bytes;
      int type;
    } tensors[] = {{&inputs_.rows[next_ * kCategoryCount], kCategoryCount, 8, kInt64},
                   {&inputs_.numbers[next_ * kNumberCount], kNumberCount, 4, kFloat},
                   {outputs_.data(), kOutputCount, 4, kFloat}};
    for (size_t i = 0; i < values_.size(); ++i) {
      const auto& [data, width, bytes, type] = tensors[i];
      const int64_t shape[] = {batch, static_cast<int64_t>(width)};
      Status made = onnx_.done(CreateTensor::of(onnx_.table)(
          onnx_.memory, data, bytes * width * batch, shape, 2, type, &values_[i]));
      if (!made) return made;
    }
    return Done{};
  }

  void call() override {
    constexpr const char* kInputs[] = {"rows", "numbers"};
    constexpr const char* kOutputs[] = {"outputs"};
    const OrtStatus status = Run::of(onnx_.table)(session_, nullptr, kInputs, values_.data(), 2,
                                                  kOutputs, 1, &values_[2]);
    if (status != nullptr) std::terminate();
  }

 private:
  void release_values() {
    for (Handle& value : values_) {
      if (value != nullptr) ReleaseValue::of(onnx_.table)(value);
      value = nullptr;
    }
  }
  void release() {
    release_values();
    if (session_ != nullptr) ReleaseSession::of(onnx_.table)(session_);
    session_ = nullptr;
  }

  const Onnx onnx_;
  bool int8_;
  Handle session_ = nullptr;
  std::array<Handle, 3> values_{};  // rows, numbers, outputs
  PeerInputs inputs_;
  std::vector<float> outputs_;
  size_t next_ = 0;
};

}  // namespace

Result<BenchPeers> onnx_peers(const std::string& path) {
  const Result<Onnx> onnx = loaded(path);
  if (!onnx) return onnx.error();
  BenchPeers peers;
  for (const bool int8 : {false, true}) peers.push_back(std::make_unique<OnnxPeer>(*onnx, int8));
  return peers;
}

}  // namespace auspex
