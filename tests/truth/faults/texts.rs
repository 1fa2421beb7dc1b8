//! Messages of a failing component: the documented texts, with the function that reports them.

use crate::world::Place;

pub const API: &str = "Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer";
pub const SYNC: &str = "Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS";
pub const MANAGER: &str = "CWSyncMgr::DoSync";
pub const REMOTING: &str = "Microsoft.UpdateServices.Internal.DatabaseAccess.ApiRemotingCompressionProxy.GetWebResponse";
pub const NOT_CONFIGURED: &str = "WSUS server not configured. Please refer to WCM.log for configuration error details.";

/// Sites whose runs can fail in this way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Any,
    /// The top site, synchronising from Microsoft Update.
    Top,
    /// A child, with its parent as upstream server.
    Child,
    /// A site that uses SSL.
    Ssl,
}

/// A failing run.
pub struct Failing {
    pub name: &'static str,
    pub whose: Whose,
    pub place: Place,
    pub text: &'static str,
    pub source: &'static str,
    /// Lines of `wsyncmgr.log` before it.
    pub lines: &'static [&'static str],
    /// Lines of `WCM.log`.
    pub wcm: &'static [&'static str],
    /// Lines of `SoftwareDistribution.log`.
    pub wsus: &'static [&'static str],
    /// Causes, any of which may be named.
    pub causes: &'static [&'static str],
}

const fn run(
    name: &'static str,
    whose: Whose,
    text: &'static str,
    source: &'static str,
    causes: &'static [&'static str],
) -> Failing {
    Failing { name, whose, place: Place::Wsus, text, source, lines: &[], wcm: &[], wsus: &[], causes }
}

const fn configured(name: &'static str, whose: Whose, wcm: &'static [&'static str], causes: &'static [&'static str]) -> Failing {
    Failing { name, whose, place: Place::Start, text: NOT_CONFIGURED, source: MANAGER, lines: &[], wcm, wsus: &[], causes }
}

const fn database(name: &'static str, lines: &'static [&'static str], causes: &'static [&'static str]) -> Failing {
    let text = "Failed to sync some of the updates";
    Failing { name, whose: Whose::Top, place: Place::Database, text, source: SYNC, lines, wcm: &[], wsus: &[], causes }
}

/// WSyncMgr reports that WSUS failed, and WSUS itself why.
const fn told(name: &'static str, wsus: &'static [&'static str], causes: &'static [&'static str]) -> Failing {
    Failing {
        name,
        whose: Whose::Top,
        place: Place::Wsus,
        text: "UssCommunicationError: WebException",
        source: SYNC,
        lines: &[],
        wcm: &[],
        wsus,
        causes,
    }
}

#[rustfmt::skip]
pub const RUNS: &[Failing] = &[
    run("run-401", Whose::Any, "The request failed with HTTP status 401: Unauthorized", API, &["apiremoting-unauthorized"]),
    run("run-403", Whose::Any, "The request failed with HTTP status 403: Forbidden", API, &["wsus-forbidden"]),
    run("run-404", Whose::Any, "The request failed with HTTP status 404: Not Found", API, &["virtual-directory-missing"]),
    run("run-500", Whose::Any, "The request failed with HTTP status 500: Internal Server Error", API, &["web-service-error"]),
    run("run-503", Whose::Any, "The request failed with HTTP status 503: Service Unavailable", API, &["wsus-unavailable"]),
    run("run-unable-to-connect", Whose::Any, "Unable to connect to the remote server", API, &["cannot-connect"]),
    run("run-refused", Whose::Any, "Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it 10.20.1.7:8530", API, &["connection-refused"]),
    run("run-timed-out", Whose::Any, "The operation has timed out", API, &["operation-timed-out"]),
    run("run-database-slow", Whose::Any, "The operation has timed out", REMOTING, &["wsus-database-slow"]),
    run("run-principal", Whose::Any, "Request for principal permission failed", API, &["principal-permission"]),
    run("run-closed", Whose::Any, "The underlying connection was closed: The connection was closed unexpectedly", API, &["connection-closed"]),
    run("run-not-trusted", Whose::Ssl, "The underlying connection was closed: Could not establish trust relationship for the SSL/TLS secure channel", API, &["certificate-not-trusted"]),
    run("run-aborted", Whose::Any, "Thread was being aborted", REMOTING, &["request-aborted"]),
    run("run-name", Whose::Top, "UssCommunicationError: WebException: The remote name could not be resolved: 'sws.update.microsoft.com'~~at System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)", SYNC, &["name-not-resolved"]),
    run("run-name-of-parent", Whose::Child, "UssCommunicationError: WebException: The remote name could not be resolved: 'upper.corp.example'~~at System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)", SYNC, &["name-not-resolved"]),
    run("run-name-japanese", Whose::Top, "UssCommunicationError: WebException: リモート名を解決できませんでした: 'sws.update.microsoft.com'~~場所 System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)", SYNC, &["name-not-resolved"]),
    run("run-name-german", Whose::Top, "UssCommunicationError: WebException: Der Remotename konnte nicht aufgelöst werden: 'sws.update.microsoft.com'~~bei System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)", SYNC, &["name-not-resolved"]),
    run("run-502", Whose::Top, "UssCommunicationError: WebException: The remote server returned an error: (502) Bad Gateway", SYNC, &["proxy-gateway"]),
    run("run-no-answer", Whose::Top, "UssCommunicationError: WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: A connection attempt failed because the connected party did not properly respond after a period of time, or established connection failed because connected host has failed to respond 203.0.113.9:443", SYNC, &["connection-timed-out"]),
    run("run-tls", Whose::Top, "UssCommunicationError: WebException: The underlying connection was closed: An unexpected error occurred on a send", SYNC, &["tls-protocol"]),
    run("run-old-address", Whose::Top, "UssCommunicationError: SoapException: Fault occurred~~Actor = https://fe2.update.microsoft.com/v6/ServerSyncWebService/ServerSyncWebService.asmx", SYNC, &["microsoft-update-address-gone"]),
    run("run-uss-internal", Whose::Top, "UssInternalError: SoapException: Fault occurred", SYNC, &["upstream-error"]),
    run("run-uss-not-found", Whose::Top, "UssNotFound: WebException: The remote server returned an error: (404) Not Found", SYNC, &["upstream-not-found"]),
    run("run-uss-busy", Whose::Top, "UssBusy: SoapException: Fault occurred", SYNC, &["upstream-unavailable"]),
    run("run-proxy-error", Whose::Top, "ProxyError: WebException: The remote server returned an error: (400) Bad Request", SYNC, &["proxy-error"]),
    run("run-proxy-name", Whose::Top, "UssCommunicationError: WebException: The proxy name could not be resolved: 'proxy.corp.example'~~at System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)", SYNC, &["proxy-error"]),
    run("run-susdb", Whose::Any, "LocalDbConnectFail: SqlException: A network-related or instance-specific error occurred while establishing a connection to SQL Server. The server was not found or was not accessible", SYNC, &["susdb-connection"]),
    run("run-susdb-busy", Whose::Any, "LocalDbTooBusy: SqlException: Timeout expired.  The timeout period elapsed prior to completion of the operation or the server is not responding", SYNC, &["sql-timeout"]),
    run("run-canceled", Whose::Any, "UserCanceled: The synchronization was canceled", SYNC, &["sync-canceled"]),
    run("run-protocol", Whose::Child, "IncompatibleProtocolVersion: WebException", SYNC, &["protocol-version"]),
    run("run-parent-503", Whose::Child, "UssCommunicationError: WebException: The request failed with HTTP status 503: Service Unavailable.~~at System.Web.Services.Protocols.SoapHttpClientProtocol.ReadResponse(SoapClientMessage message, WebResponse response, Stream responseStream, Boolean asyncCall)", SYNC, &["upstream-unavailable"]),
    run("run-parent-refuses-connection", Whose::Child, "UssCommunicationError: WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it 10.20.1.7:8530~~at System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)", SYNC, &["upstream-connect", "connection-refused"]),
    run("run-unknown", Whose::Any, "The flux of the update capacitor is out of bounds (0x87AB1234)", SYNC, &["unknown-cause"]),
    Failing { name: "run-terminated", whose: Whose::Any, place: Place::Start, text: "Thread terminated unexpectedly", source: MANAGER, lines: &[], wcm: &[], wsus: &[], causes: &["component-terminated"] },
    told("wsus-tls", &["Error\tWsusService.12\tSoapUtilities.LogException\tProcessWebServiceProxyException found Exception was WebException. Action: Retry. Exception Details: System.Net.WebException: The underlying connection was closed: An unexpected error occurred on a send."], &["tls-protocol"]),
    told("wsus-name", &["Error\tWsusService.12\tCatalogSyncAgentCore.ExecuteSyncProtocol\tSystem.Net.WebException: The remote name could not be resolved: 'sws.update.microsoft.com'"], &["name-not-resolved"]),
    told("wsus-proxy", &["Error\tWsusService.12\tCatalogSyncAgentCore.ExecuteSyncProtocol\tSystem.Net.WebException: The remote server returned an error: (502) Bad Gateway."], &["proxy-gateway"]),
    database("run-licence-terms", &["Failed to sync update 4be2c14f-52d5-4a0b-8f5e-0a5fd3a54d3c. Error: The Microsoft Software License Terms have not been completely downloaded and~~cannot be accepted. Source: Microsoft.UpdateServices.Internal.BaseApi.SoapExceptionProcessor.DeserializeAndThrow"], &["license-terms-missing"]),
    database("run-duplicate-file", &["*** [23000][2627][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Violation of UNIQUE KEY constraint 'CI_Files_AK'. Cannot insert duplicate key in object 'dbo.CI_Files'.", "Failed to sync update 7a10bd31-2f6e-45ab-9a3c-1d2e3f405162. Error: Failed to save update 0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0. CCISource error: -1. Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncUpdates"], &["ci-files-duplicate"]),
    database("run-duplicate-document", &["*** [23000][2627][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Violation of PRIMARY KEY constraint 'CI_DocumentStore_PK'. Cannot insert duplicate key in object 'dbo.CI_DocumentStore'.", "Too many consecutive failures. Aborting sync."], &["document-store-duplicate"]),
    database("run-error-12", &["sp_SetupSDMPackage returns an error", "DCM digest has invalid schema"], &["database-error-12"]),
    database("run-deadlock", &["*** [40001][1205][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Transaction (Process ID 71) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction."], &["sql-deadlock"]),
    database("run-no-memory", &["*** [42000][701][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]There is insufficient system memory in resource pool 'default' to run this query."], &["sql-no-memory"]),
    database("run-log-full", &["*** [42000][9002][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]The transaction log for database 'CM_P01' is full due to 'LOG_BACKUP'."], &["sql-no-space"]),
    database("run-login", &["*** [28000][18456][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Login failed for user 'NT AUTHORITY\\ANONYMOUS LOGON'."], &["sql-login"]),
    database("run-offline", &["*** [42000][942][Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Database 'CM_P01' cannot be opened because it is offline."], &["sql-database-offline"]),
    configured("wcm-silent", Whose::Any, &["Failed to configure WSUS"], &["wsus-not-configured"]),
    configured("wcm-refused", Whose::Any, &["System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it 10.20.1.7:8530~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["connection-refused"]),
    configured("wcm-principal", Whose::Any, &["System.Security.SecurityException: Request for principal permission failed.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["principal-permission"]),
    configured("wcm-401", Whose::Any, &["System.Net.WebException: The request failed with HTTP status 401: Unauthorized.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["apiremoting-unauthorized"]),
    configured("wcm-403", Whose::Any, &["System.Net.WebException: The request failed with HTTP status 403: Forbidden.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["wsus-forbidden"]),
    configured("wcm-503", Whose::Any, &["System.Net.WebException: The request failed with HTTP status 503: Service Unavailable.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["wsus-unavailable"]),
    configured("wcm-name", Whose::Any, &["System.Net.WebException: The remote name could not be resolved: 'wsus-gone.corp.example'~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["name-not-resolved"]),
    configured("wcm-timed-out", Whose::Any, &["System.Net.WebException: The operation has timed out~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["operation-timed-out"]),
    configured("wcm-trust", Whose::Ssl, &["System.Net.WebException: The underlying connection was closed: Could not establish trust relationship for the SSL/TLS secure channel. ---> System.Security.Authentication.AuthenticationException: The remote certificate is invalid according to the validation procedure.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"], &["certificate-not-trusted"]),
    configured("wcm-category", Whose::Top, &["Category Product:5c1f6d2a-1b43-4f0e-9a57-6d1c2b9d8e10 (Contoso Reader) not found on WSUS", "Subscription contains categories unknown to WSUS.", "Failed to set Subscriptions on the WSUS Server. Error:(-2147467259)Unspecified error"], &["category-not-on-wsus"]),
    configured("wcm-reset", Whose::Any, &["System.InvalidOperationException: Cannot save configuration because the server is still processing a previous configuration change.~~   at Microsoft.UpdateServices.Internal.BaseApi.UpdateServerConfiguration.Save()"], &["wsus-reset-running"]),
];
