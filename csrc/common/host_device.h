// Functions that run on the host and, in a CUDA source, on the device too.
#pragma once

#if defined(__CUDACC__)
#define VQE_FAST_HOST_DEVICE __host__ __device__
#else
#define VQE_FAST_HOST_DEVICE
#endif
