/* store: every backend keeps the contract that store.h states. */
#include "contract.h"

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < n_backends; i++) {
        failed += contract_run(&backends[i]);
    }
    return failed > 0;
}
