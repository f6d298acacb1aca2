// The kernels of fusion on a GPU. They include no CUDA header: the tests run them on the host.
#pragma once

#include "sharpen_kernel.cuh"
#include "variance_kernel.cuh"
