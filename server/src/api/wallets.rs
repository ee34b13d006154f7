//! `WalletService`.

use palm_proto::{
    request::{WalletTransfer, wallet_named},
    v1::{self, wallet_service_server::WalletService},
};
use tonic::{Request, Response, Status};
use tracing::{error, info};

use super::{Part, wire};

#[tonic::async_trait]
impl WalletService for Part {
    async fn top_up(
        &self,
        request: Request<v1::TopUpRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = WalletTransfer::try_from(request.into_inner())?;
        let balance = self.0.wallets.top_up(request).await?;
        Ok(Response::new(wire::wallet(request.customer, balance)))
    }

    async fn pay_out(
        &self,
        request: Request<v1::PayOutRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let _operator = self.admit_operator(&request)?;
        let request = WalletTransfer::try_from(request.into_inner())?;
        let balance = self.0.wallets.pay_out(request).await?;
        Ok(Response::new(wire::wallet(request.customer, balance)))
    }

    async fn get_wallet(
        &self,
        request: Request<v1::GetWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let _operator = self.admit_operator(&request)?;
        let customer = wallet_named(&request.into_inner().name)?;
        let balance = self.0.wallets.balance(customer).await?;
        Ok(Response::new(wire::wallet(customer, balance)))
    }

    async fn audit_ledger(
        &self,
        request: Request<v1::AuditLedgerRequest>,
    ) -> Result<Response<v1::AuditLedgerResponse>, Status> {
        let _operator = self.admit_operator(&request)?;
        let audit = self.0.wallets.audit().await?;
        if audit.violations.is_empty() {
            info!(
                transfers = audit.transfers,
                accounts = audit.accounts,
                "audit"
            );
        } else {
            error!(
                violations = audit.violations.len(),
                "the books are not right"
            );
        }
        Ok(Response::new(v1::AuditLedgerResponse {
            transfers: audit.transfers,
            accounts: audit.accounts,
            violations: audit.violations,
        }))
    }
}
