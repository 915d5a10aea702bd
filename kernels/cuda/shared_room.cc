// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/shared_room.h"

#include <functional>
#include <map>
#include <mutex>

#include "kernels/cuda/runtime.h"

namespace auspex::cuda {
namespace {

struct Room {
  size_t bytes;
  char* device;
};
std::mutex g_mutex;
std::map<const char*, Room, std::less<>> g_rooms;  // by where they begin

char* place_on_card(const void* host, size_t bytes) {
  const auto* const first = static_cast<const char*>(host);
  const std::lock_guard lock(g_mutex);
  auto behind = g_rooms.upper_bound(first);
  if (behind == g_rooms.begin()) return nullptr;
  const auto& [begin, room] = *--behind;
  const auto offset = static_cast<size_t>(first - begin);
  return offset <= room.bytes && bytes <= room.bytes - offset ? room.device + offset : nullptr;
}

}  // namespace

const char* take_room(size_t bytes, void** host) {
  void* device = nullptr;
  if (const char* error = allocate_shared(bytes, host, &device)) return error;
  const std::lock_guard lock(g_mutex);
  g_rooms.emplace(static_cast<const char*>(*host), Room{bytes, static_cast<char*>(device)});
  return nullptr;
}

void give_room(void* host) {
  {
    const std::lock_guard lock(g_mutex);
    g_rooms.erase(static_cast<const char*>(host));
  }
  release_shared(host);
}

const Job* on_card(const Job* jobs, size_t count) {
  return reinterpret_cast<const Job*>(place_on_card(jobs, count * sizeof(Job)));
}
float* on_card(float* outputs, size_t count) {
  return reinterpret_cast<float*>(place_on_card(outputs, count * sizeof(float)));
}

}  // namespace auspex::cuda
