// What every CPU operator's launcher uses.
#pragma once

#include <memory>
#include <new>

#include "common.h"

namespace vqe_fast {

// Uninitialised memory that starts at a cache line.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : values_(static_cast<T*>(::operator new(count * sizeof(T), kLine))) {}
  T* get() const { return values_.get(); }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(T* values) const { ::operator delete(values, kLine); }
  };
  std::unique_ptr<T, Free> values_;
};

}  // namespace vqe_fast
